// The impact families: h(V), the log displacement that a recovering volume V causes. Each formula stands here once.
//
// A family answers three questions about one side of the depth, for volumes and displacements >= 0; `asks` tells
// whether buying (asks) or selling (bids) consumed it:
//   h(volume, asks)            the log displacement; `odd` families give the negative for the negative, bids or asks
//   inverse(x, asks, p)        the volume V with h(V) + p V = x, inf where there is none
//   money(low, width, asks, p) the integral over 0 <= t <= width of exp(s (h(low + t) - h(low) + p t)), s = +1 for asks,
//                              -1 for bids: what that volume fetches or costs, relative to the price at `low`; p is
//                              the slope of permanent impact. The width is passed, not the end, so that a small trade
//                              after a large volume keeps its digits.
#pragma once

#include <cstddef>

#include "flushpoint/arch.hpp"
#include "flushpoint/math.hpp"
#include "flushpoint/quadrature.hpp"

namespace flushpoint {

enum class ImpactKind : int { linear, power, square_root, depth, evaporating };

// An impact as plain data. Parameters by kind: linear (coefficient); power (coefficient, exponent); square_root
// (coefficient, core); evaporating (coefficient, thinning); depth: distance, bid quantity and ask quantity, each of
// `count / 3` levels.
struct ImpactData {
    ImpactKind kind;
    const double* parameters;
    std::size_t count;
};

inline namespace FLUSHPOINT_ARCH {

// The volume V <= high with h(V) + permanent V = x, by the Illinois variant of false position.
template <class Impact>
inline double solve(const Impact& impact, double x, bool asks, double permanent, double high) {
    const auto excess = [&](double volume) { return impact.h(volume, asks) + permanent * volume - x; };
    double low = 0.0, below = -x;
    if (x / permanent < high) high = x / permanent;
    double above = excess(high);
    for (int round = 0, last = 0; round < 200 && high - low > 0x1p-52 * high; ++round) {
        double middle = above < math::infinity ? low + (high - low) * (below / (below - above)) : 0.5 * (low + high);
        if (!(middle > low && middle < high)) middle = 0.5 * (low + high);
        if (!(middle > low && middle < high)) break;
        const double value = excess(middle);
        if (value == 0.0) return middle;
        if (value > 0.0) {
            high = middle;
            above = value;
            if (last == 1) below *= 0.5;
            last = 1;
        } else {
            low = middle;
            below = value;
            if (last == -1) above *= 0.5;
            last = -1;
        }
    }
    return high;
}

// The end of a panel of integration from `from`: `to`, or nearer where the exponent, `rise`, would grow by more than 4.
template <class Rise>
inline double panel_end(const Rise& rise, double from, double to) {
    while (rise(to) - rise(from) > 4.0) {
        const double middle = from + 0.5 * (to - from);
        if (!(middle > from && middle < to)) break;  // neighbouring doubles
        to = middle;
    }
    return to;
}

struct LinearImpact {
    static constexpr bool odd = true;
    double coefficient;

    template <class D>  // a number, or several side by side
    D h(D volume, bool) const {
        return coefficient * volume;
    }
    double inverse(double x, bool, double permanent) const { return x == 0.0 ? 0.0 : x / (coefficient + permanent); }
    template <class D>
    D money(D, D width, bool asks, double permanent) const {
        const double slope = coefficient + permanent;
        return width * math::mean_decay((asks ? -slope : slope) * width);
    }
};

struct PowerImpact {
    static constexpr bool odd = false;
    double coefficient;
    double exponent;

    double h(double volume, bool) const {
        return coefficient == 0.0 ? 0.0 : coefficient * math::pow(volume, exponent);
    }
    double inverse(double x, bool asks, double permanent) const {
        if (x == 0.0) return 0.0;
        const double alone = math::pow(x / coefficient, 1.0 / exponent);
        return permanent == 0.0 ? alone : solve(*this, x, asks, permanent, alone);
    }
    // Not smooth at zero: panels that at most double the volume, ever smaller towards zero, and across which the
    // exponent changes little.
    double money(double low, double width, bool asks, double permanent) const {
        const double sign = asks ? 1.0 : -1.0;
        const double base = h(low, asks);
        const auto rise = [&](double t) { return h(low + t, asks) - base + permanent * t; };
        double sum = 0.0;
        double from = 0.0;
        const double decay = inverse(1.0, asks, 0.0);
        double longest = low > 0.0 ? low : (width < decay ? width : decay) * 0x1p-40;
        while (from < width) {
            const double to = panel_end(rise, from, width - from > longest ? from + longest : width);
            const bool smooth = rise(to) - rise(from) < 0.05 && (to - from) * 64.0 < low + from;
            const double panel =
                integrate([&](double t) { return math::exp(sign * rise(t)); }, from, to - from, smooth);
            sum += panel;
            if (panel <= 0x1p-70 * sum || sum == math::infinity) break;
            from = to;
            longest = low + to;
        }
        return sum;
    }
};

// coefficient * (sqrt(V + core) - sqrt(core)); the coefficient is prefactor * daily volatility / sqrt(daily volume)
struct SquareRootImpact {
    static constexpr bool odd = false;
    double coefficient;
    double core;

    double h(double volume, bool) const {
        if (volume == 0.0) return 0.0;
        return coefficient * (volume / (math::square_root(volume + core) + math::square_root(core)));
    }
    // In t = sqrt(V + core) - sqrt(core): permanent t^2 + (coefficient + 2 permanent sqrt(core)) t = x.
    double inverse(double x, bool, double permanent) const {
        if (x == 0.0) return 0.0;
        const double root = math::square_root(core);
        const double b = coefficient + 2.0 * permanent * root;
        const double t = 2.0 * x / (b + math::square_root(b * b + 4.0 * permanent * x));
        return t * (t + 2.0 * root);
    }
    // In w = sqrt(V + core) the exponent is a polynomial, and without permanent impact the integral is elementary.
    double money(double low, double volume, bool asks, double permanent) const {
        if (!(volume > 0.0)) return 0.0;
        const double sign = asks ? 1.0 : -1.0;
        const double start = math::square_root(low + core);
        const double width = volume / (start + math::square_root(low + volume + core));
        if (permanent == 0.0) {
            const double y = -sign * coefficient * width;
            const double constant = start == 0.0 ? 0.0 : start * math::mean_decay(y);
            return 2.0 * width * (constant + width * math::first_moment_decay(y));
        }
        const auto exponent = [&](double t) { return coefficient * t + permanent * t * (2.0 * start + t); };
        double sum = 0.0;
        double from = 0.0;
        while (from < width) {
            const double to = panel_end(exponent, from, width);
            const bool smooth = exponent(to) - exponent(from) < 0.05;
            const double panel = integrate(
                [&](double t) { return 2.0 * (start + t) * math::exp(sign * exponent(t)); }, from, to - from, smooth);
            sum += panel;
            if (panel <= 0x1p-70 * sum || sum == math::infinity) break;
            from = to;
        }
        return sum;
    }
};

// Piecewise linear through (0, 0) and (quantity[i], distance[i]); beyond the last level its last slope continues.
struct DepthImpact {
    static constexpr bool odd = false;
    const double* distance;
    const double* bid_quantity;
    const double* ask_quantity;
    std::size_t levels;

    const double* quantities(bool asks) const { return asks ? ask_quantity : bid_quantity; }
    double quantity_at(const double* q, std::size_t knot) const { return knot == 0 ? 0.0 : q[knot - 1]; }
    double distance_at(std::size_t knot) const { return knot == 0 ? 0.0 : distance[knot - 1]; }

    // The segment between knots i and i + 1 on which `value` falls; knot(0), knot(1), ... stand for knots 1, 2, ...
    template <class Knot>
    std::size_t segment(Knot&& knot, double value) const {
        std::size_t low = 0, high = levels - 1;
        while (low < high) {
            const std::size_t middle = (low + high) / 2;
            if (knot(middle) < value) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }
    std::size_t segment_of_volume(const double* q, double volume) const {
        return segment([&](std::size_t i) { return q[i]; }, volume);
    }
    double slope(const double* q, std::size_t i) const {
        return (distance_at(i + 1) - distance_at(i)) / (quantity_at(q, i + 1) - quantity_at(q, i));
    }

    double h(double volume, bool asks) const {
        const double* q = quantities(asks);
        const std::size_t i = segment_of_volume(q, volume);
        return distance_at(i) + (volume - quantity_at(q, i)) * slope(q, i);
    }
    double inverse(double x, bool asks, double permanent) const {
        const double* q = quantities(asks);
        const std::size_t i = segment([&](std::size_t k) { return distance[k] + permanent * q[k]; }, x);
        const double beyond = x - (distance_at(i) + permanent * quantity_at(q, i));
        return quantity_at(q, i) + beyond / (slope(q, i) + permanent);
    }
    double money(double low, double width, bool asks, double permanent) const {
        const double* q = quantities(asks);
        double sum = 0.0, relative_price = 1.0, from = low, left = width;
        for (std::size_t i = segment_of_volume(q, low); left > 0.0; ++i) {
            const bool last = i + 1 >= levels || q[i] - from >= left;
            const double part = last ? left : q[i] - from;
            const double steepness = slope(q, i) + permanent;
            const double y = (asks ? -steepness : steepness) * part;
            sum += relative_price * part * math::mean_decay(y);
            if (last) break;
            relative_price *= math::exp(-y);
            from = q[i];
            left -= part;
        }
        return sum;
    }
};

// -ln(1 - thinning * coefficient * V) / thinning; at the pole the depth is used up and the displacement infinite.
struct EvaporatingImpact {
    static constexpr bool odd = false;
    double coefficient;
    double thinning;

    double h(double volume, bool) const {
        const double used = thinning * coefficient * volume;
        return used >= 1.0 ? math::infinity : -math::log1p(-used) / thinning;
    }
    double inverse(double x, bool asks, double permanent) const {
        if (x == 0.0) return 0.0;
        const double alone = -math::expm1(-thinning * x) / (thinning * coefficient);
        return permanent == 0.0 ? alone : solve(*this, x, asks, permanent, alone);
    }
    // In the displacement t beyond h(low) the volume is (1 - exp(-thinning t)) * left / (thinning * coefficient).
    double money(double low, double width, bool asks, double permanent) const {
        if (!(width > 0.0)) return 0.0;
        if (coefficient == 0.0) return LinearImpact{0.0}.money(low, width, asks, permanent);
        const double sign = asks ? 1.0 : -1.0;
        const double rate = thinning * coefficient;
        const double left = 1.0 - rate * low;
        if (!(left > 0.0)) return asks ? math::infinity : 0.0;
        const double used = rate * width / left;
        const double decay = thinning - sign;  // of the integrand in t, but for permanent impact
        double end = used >= 1.0 ? math::infinity : -math::log1p(-used) / thinning;
        if (used >= 1.0) {
            if (asks && (used > 1.0 || decay <= 0.0)) return math::infinity;
            if (permanent == 0.0) return left / (coefficient * decay);
        }
        if (permanent == 0.0) return left / coefficient * end * math::mean_decay(decay * end);
        const double reach = left / rate;
        const auto exponent = [&](double t) { return -decay * t - sign * permanent * reach * math::expm1(-thinning * t); };
        double sum = 0.0;
        double from = 0.0;
        while (from < end) {
            // Each factor of the integrand changes at most by a few e-folds across a panel.
            const double speed = thinning + 1.0 + permanent * reach * thinning * math::exp(-thinning * from);
            const double longest = 2.0 / speed;
            const double to = end - from > longest ? from + longest : end;
            const bool smooth = (to - from) * speed < 0.05;
            const double panel = integrate([&](double t) { return math::exp(exponent(t)); }, from, to - from, smooth);
            sum += panel;
            if (panel <= 0x1p-70 * sum || sum == math::infinity || !(to > from)) break;
            from = to;
        }
        return left / coefficient * sum;
    }
};

// Calls f with the family that `data` describes.
template <class Function>
inline decltype(auto) with_impact(const ImpactData& data, Function&& f) {
    const double* p = data.parameters;
    switch (data.kind) {
        case ImpactKind::linear: return f(LinearImpact{p[0]});
        case ImpactKind::power: return f(PowerImpact{p[0], p[1]});
        case ImpactKind::square_root: return f(SquareRootImpact{p[0], p[1]});
        case ImpactKind::evaporating: return f(EvaporatingImpact{p[0], p[1]});
        case ImpactKind::depth: break;
    }
    const std::size_t levels = data.count / 3;
    return f(DepthImpact{p, p + levels, p + 2 * levels, levels});
}

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
