// Every impact family against its formula in long double.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "flushpoint/kernels.hpp"
#include "generator.hpp"
#include "impacts.hpp"
#include "quadrature.hpp"

namespace fp = flushpoint;
using tests::Impact;

namespace {

constexpr double inf = fp::math::infinity;

// The table of the manual, in long double and free of cancellation.
long double exact_h(const Impact& impact, long double v, bool asks) {
    const std::vector<double>& p = impact.parameters;
    switch (impact.kind) {
        case fp::ImpactKind::linear: return p[0] * v;
        case fp::ImpactKind::power: return p[0] * std::pow(v, static_cast<long double>(p[1]));
        case fp::ImpactKind::square_root:
            return v > 0.0L ? p[0] * (v / (std::sqrt(v + p[1]) + std::sqrt(static_cast<long double>(p[1])))) : 0.0L;
        case fp::ImpactKind::evaporating: {
            const long double used = static_cast<long double>(p[1]) * p[0] * v;
            return used < 1.0L ? -std::log1p(-used) / p[1] : static_cast<long double>(inf);
        }
        case fp::ImpactKind::depth: break;
    }
    const std::size_t levels = p.size() / 3;
    const double* q = p.data() + (asks ? 2 : 1) * levels;
    std::size_t i = 0;
    while (i + 1 < levels && v > q[i]) ++i;
    const long double q0 = i == 0 ? 0.0L : q[i - 1], d0 = i == 0 ? 0.0L : p[i - 1];
    return d0 + (v - q0) * (p[i] - d0) / (q[i] - q0);
}

// The volume at which the family's depth is used up
double pole(const Impact& impact) {
    return impact.kind == fp::ImpactKind::evaporating ? 1.0 / (impact.parameters[0] * impact.parameters[1]) : inf;
}

// The integral over u from low to low + width of exp(s (h(u) - h(low) + permanent (u - low))), s = +1 for asks, -1 for
// bids.
long double exact_money(const Impact& impact, double low, double width, bool asks, double permanent) {
    const long double high = static_cast<long double>(low) + width;
    const long double s = asks ? 1.0L : -1.0L;
    if (impact.kind == fp::ImpactKind::evaporating && high > 0.75 * pole(impact)) {
        if (low >= pole(impact)) return asks ? inf : 0.0;
        // In the share w of the depth that is left, so that what happens close to the pole is seen exactly.
        const long double thinning = impact.parameters[1], rate = thinning * impact.parameters[0];
        const long double most = 1.0L - rate * low, end = std::max(0.0L, 1.0L - rate * high);
        if (asks && (rate * high > 1.0L || (end == 0.0L && thinning <= 1.0L))) return inf;
        const auto exponent = [&](long double w) {
            return s * (std::log(most / w) / thinning + permanent * (most - w) / rate);
        };
        long double sum = 0.0L;
        // Towards an empty book the exponent is infinite, but the integrand only an algebraic singularity.
        const long double near_pole = end > 0.0L ? end : most / 64.0L;
        if (end == 0.0L) sum += tests::integral([&](long double w) { return std::exp(exponent(w)); }, 0.0L, near_pole);
        sum += tests::integral_of_exp(exponent, near_pole, most, std::max(exponent(near_pole), exponent(most)));
        return sum / rate;
    }
    // In t = u - low, so that a thin slice is not lost beside the volume before it.
    std::vector<long double> cuts{0.0L};
    if (impact.kind == fp::ImpactKind::depth) {
        const std::size_t levels = impact.parameters.size() / 3;
        for (std::size_t i = 0; i < levels; ++i) {
            const long double knot = impact.parameters[(asks ? 2 : 1) * levels + i];
            if (knot > low && knot < high) cuts.push_back(knot - low);
        }
    }
    cuts.push_back(width);
    const long double base = exact_h(impact, low, asks);
    const auto exponent = [&](long double t) { return s * (exact_h(impact, low + t, asks) - base + permanent * t); };
    const long double top = asks ? exponent(width) : 0.0L;
    long double sum = 0.0L;
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i) sum += tests::integral_of_exp(exponent, cuts[i], cuts[i + 1], top);
    return sum;
}

double h(const Impact& impact, double v, bool asks) {
    return fp::with_impact(impact.data(), [&](auto i) { return i.h(v, asks); });
}
double inverse(const Impact& impact, double x, bool asks, double permanent) {
    return fp::with_impact(impact.data(), [&](auto i) { return i.inverse(x, asks, permanent); });
}
double money(const Impact& impact, double low, double width, bool asks, double permanent) {
    return fp::with_impact(impact.data(), [&](auto i) { return i.money(low, width, asks, permanent); });
}

// Relative, and 0 where both overflow
double error(double got, long double exact) {
    if (got == static_cast<double>(exact)) return 0.0;
    return static_cast<double>(std::fabs((got - exact) / exact));
}

// All families, weak and strong, smooth and kinked at zero. Products of parameters of the evaporating ones are exact,
// so that the pole stands where the long double formula has it.
std::vector<Impact> many() {
    std::vector<Impact> out = tests::one_of_each();
    for (const double exponent : {0.1, 0.5, 1.0}) out.push_back(tests::power(0.003, exponent));
    for (const double exponent : {1.7, 3.0}) out.push_back(tests::power(1e-5, exponent));
    for (const double core : {0.0, 1e-3, 1e4}) out.push_back(tests::square_root(0.02, core));
    for (const double thinning : {0.125, 0.5, 1.0, 4.0}) out.push_back(tests::evaporating(0x1p-8, thinning));
    out.push_back(tests::depth({0.2}, {50.0}, {70.0}));
    return out;
}
struct Slice {
    double low, width;
};

std::vector<Slice> slices(const Impact& impact) {
    std::vector<Slice> out;
    for (const double low : {0.0, 1e-6, 0.25, 17.0, 90.0}) {
        for (const double width : {1e-9, 1e-4, 0.5, 3.0, 64.0, 200.0}) out.push_back({low, width});
    }
    if (impact.kind == fp::ImpactKind::depth) {  // from, to, and across knots
        const std::size_t levels = impact.parameters.size() / 3;
        for (std::size_t i = levels; i < 3 * levels; ++i) {
            const double knot = impact.parameters[i];
            for (const Slice s : {Slice{0.0, knot}, {knot, 0.5 * knot}, {knot - 1e-9, 2e-9}, {0.5, 3.0 * knot}}) {
                out.push_back(s);
            }
        }
    }
    if (const double end = pole(impact); end < inf) {
        for (const double low : {0.0, 0.5 * end, 0.9375 * end}) {
            for (const double high : {0.96875 * end, (1.0 - 0x1p-20) * end, (1.0 - 0x1p-40) * end, end, 1.5 * end}) {
                out.push_back({low, high - low});
            }
        }
    } else {
        for (const double high : {1e3, 1e4, 1e6, 1e8}) {
            for (const double low : {0.0, 1.0, 0.5 * high}) out.push_back({low, high - low});
        }
    }
    return out;
}

template <class Look>
void for_all(Look&& look) {
    for (const Impact& impact : many()) {
        for (const bool asks : {false, true}) {
            CAPTURE(impact.name);
            CAPTURE(impact.parameters[0]);
            CAPTURE(impact.parameters[impact.parameters.size() - 1]);
            CAPTURE(asks);
            look(impact, asks);
        }
    }
}

}  // namespace

TEST_CASE("h equals its formula, starts at 0 and does not fall") {
    tests::Generator random(1);
    for_all([&](const Impact& impact, bool asks) {
        CHECK(h(impact, 0.0, asks) == 0.0);
        std::vector<double> volumes;
        for (int i = 0; i < 3000; ++i) volumes.push_back(i % 2 ? 0.1 * i : random.spread(-60, 20));
        std::sort(volumes.begin(), volumes.end());
        double before = 0.0, worst = 0.0;
        for (const double v : volumes) {
            const double now = h(impact, v, asks);
            if (now < before) CHECK(now >= before);
            before = now;
            // Close to the pole the formula itself magnifies the rounding of the volume.
            const double left = std::max(1.0 - v / pole(impact), 0x1p-52);
            if (now < inf) worst = std::max(worst, error(now, exact_h(impact, v, asks)) * left);
        }
        CHECK(worst < 1e-15);
        if (const double end = pole(impact); end < inf) {
            CHECK(h(impact, end, asks) == inf);
            CHECK(h(impact, 2.0 * end, asks) == inf);
            CHECK(h(impact, (1.0 - 0x1p-50) * end, asks) < inf);
        }
    });
}

TEST_CASE("inverse undoes h") {
    for_all([](const Impact& impact, bool asks) {
        for (const double permanent : {0.0, 1e-9, 1e-3, 2.0}) {
            CAPTURE(permanent);
            CHECK(inverse(impact, 0.0, asks, permanent) == 0.0);
            tests::Generator random(2);
            double worst = 0.0;
            for (int i = 0; i < 1000; ++i) {
                const double v = random.spread(-30, 8);
                if (v >= 0.99 * pole(impact)) continue;
                const double x = h(impact, v, asks) + permanent * v;
                worst = std::max(worst, error(inverse(impact, x, asks, permanent), v));
            }
            CHECK(worst < 1e-13);
        }
    });
    // No volume moves such a market, except through its permanent part.
    for (const Impact& flat : {tests::linear(0.0), tests::power(0.0, 0.5), tests::square_root(0.0, 1.0), tests::evaporating(0.0, 1.0)}) {
        CAPTURE(flat.name);
        CHECK(inverse(flat, 0.1, false, 0.0) == inf);
        CHECK(error(inverse(flat, 0.1, false, 0.01), 10.0L) < 1e-13);
    }
    // All of an evaporating depth displaces by infinity.
    CHECK(inverse(tests::evaporating(0x1p-8, 0.5), inf, false, 0.0) == 512.0);
    CHECK(inverse(tests::evaporating(0x1p-8, 0.5), inf, false, 0.1) == 512.0);
}

TEST_CASE("money equals an independent quadrature") {
    for_all([](const Impact& impact, bool asks) {
        for (const double permanent : {0.0, 1e-4, 0.05}) {
            for (const Slice& s : slices(impact)) {
                // Where the price starts at 0 or the purchase is beyond all doubles there is nothing to tell.
                if (exact_h(impact, s.low, asks) + permanent * s.low > 700.0L) continue;
                const long double exact = exact_money(impact, s.low, s.width, asks, permanent);
                if (exact > 1e300L && pole(impact) == inf) continue;
                const double got = money(impact, s.low, s.width, asks, permanent);
                // Beside the pole, what is left of the depth is itself rounded.
                const double left = s.low < pole(impact) ? 1.0 - s.low / pole(impact) : 1.0;
                const double wrong = error(got, exact);
                if (!(wrong < 1e-12 / left)) {
                    CAPTURE(permanent);
                    CAPTURE(s.low);
                    CAPTURE(s.width);
                    CAPTURE(got);
                    CHECK(wrong < 1e-12 / left);
                }
            }
        }
    });
    // A known integral, far out: exp(-sqrt(u)) over all u is 2.
    for (const double high : {1e7, 1e9, 1e12, 1e20}) {
        CAPTURE(high);
        CHECK(error(money(tests::power(1.0, 0.5), 0.0, high, false, 0.0), 2.0L) < 1e-12);
        CHECK(error(money(tests::square_root(1.0, 0.0), 0.0, high, false, 0.0), 2.0L) < 1e-12);
    }
    // Purchases beyond all doubles are infinite, and known to be so in reasonable time.
    for (const Impact& impact : {tests::linear(1.0), tests::power(1.0, 1.0), tests::square_root(1.0, 1.0)}) {
        CAPTURE(impact.name);
        for (const double width : {1e5, 1e15}) CHECK(money(impact, 0.0, width, true, 1.0) == inf);
    }
}

TEST_CASE("a trade in parts fetches what the whole does") {
    tests::Generator random(3);
    for (const Impact& impact : many()) {
        for (const double permanent : {0.0, 1e-3}) {
            CAPTURE(impact.name);
            CAPTURE(impact.parameters[impact.parameters.size() - 1]);
            CAPTURE(permanent);
            const fp::MarketData data = impact.market(100.0, permanent, 0.01);
            double worst = 0.0;
            for (int round = 0; round < 200; ++round) {
                // From below and above rest, across it, with volume already sold for good; selling and buying
                fp::State state{random.between(-50.0, 50.0), random.between(-30.0, 30.0)};
                const double sign = random.below(2) ? 1.0 : -1.0;
                const double liquidity = random.between(0.5, 2.0);
                const int parts = 2 + static_cast<int>(random.below(6));
                const fp::State start = state;
                double all = 0.0, sum = 0.0;
                fp::with_market(data, liquidity, [&](const auto& market) {
                    for (int i = 0; i < parts; ++i) {  // some parts far smaller than others
                        const bool tiny = i > 0 && random.below(4) == 0;
                        const double quantity = sign * (tiny ? random.spread(-40, -10) : random.between(1.0, 8.0));
                        sum += market.proceeds(95.0, state, quantity);
                        state = state.after(quantity);
                        all += quantity;
                    }
                    const double whole = market.proceeds(95.0, start, all);
                    CHECK(whole * sign > 0.0);
                    worst = std::max(worst, error(sum, whole));
                });
            }
            CHECK(worst < 1e-13);
        }
    }
}

TEST_CASE("a position fetches its price however much was sold before it") {
    // A slice so thin that the price hardly moves across it: quantity times the price in its middle.
    for (const Impact& impact : tests::one_of_each()) {
        CAPTURE(impact.name);
        const fp::MarketData data = impact.market(100.0);
        double worst = 0.0;
        fp::with_market(data, 1.0, [&](const auto& market) {
            for (const double sold : {1.0, -1.0, 100.0, -100.0, 400.0}) {
                for (const double quantity : {1e-12, -1e-12, 1e-9, -1e-9, 1e-6, -1e-6}) {
                    const long double v = static_cast<long double>(sold) + 0.5L * quantity;
                    const long double g = v > 0.0L ? exact_h(impact, v, false) : -exact_h(impact, -v, true);
                    const double got = market.proceeds(100.0, {sold, sold}, quantity);
                    worst = std::max(worst, error(got, quantity * (100.0L * std::exp(-g))));
                }
            }
        });
        CHECK(worst < 1e-12);
    }
}

TEST_CASE("proceeds: spread, liquidity, permanent impact and the two sides of the depth") {
    for (const Impact& impact : tests::one_of_each()) {
        CAPTURE(impact.name);
        const double permanent = 1e-3, spread = 0.02, liquidity = 0.5, start = 90.0;
        const fp::MarketData data = impact.market(100.0, permanent, spread);
        fp::with_market(data, liquidity, [&](const auto& market) {
            // Selling 50 from V = -20, Q = 10: first the asks' side is refilled, then bids are met.
            const auto displacement = [&](long double sold) {
                const long double v = (sold - 20.0L) / liquidity;
                return permanent * (10.0L + sold) / liquidity +
                       (v >= 0.0L ? exact_h(impact, v, false) : -exact_h(impact, -v, true));
            };
            const auto price = [&](long double sold) { return start * std::exp(-displacement(sold)); };
            std::vector<double> cuts{0.0, 20.0, 50.0};
            if (impact.kind == fp::ImpactKind::depth) {
                for (const double q : {5.0, 40.0}) cuts.push_back(20.0 + q * liquidity);
                for (const double q : {8.0, 30.0}) cuts.push_back(20.0 - q * liquidity);
                std::sort(cuts.begin(), cuts.end());
            }
            long double exact = 0.0L;
            for (std::size_t i = 0; i + 1 < cuts.size(); ++i) exact += tests::integral(price, cuts[i], cuts[i + 1]);
            CHECK(error(market.proceeds(start, {10.0, -20.0}, 50.0), exact * (1.0L - spread / 2.0L)) < 1e-12);
            // Buying them back costs the same but for the spread.
            CHECK(error(market.proceeds(start, {60.0, 30.0}, -50.0), -exact * (1.0L + spread / 2.0L)) < 1e-12);
            CHECK(market.proceeds(start, {10.0, -20.0}, 0.0) == 0.0);

            const double g = market.displacement({10.0, -20.0});
            CHECK(error(g, displacement(0.0L)) < 1e-14);
            for (const double q : {-40.0, -1e-3, 1e-3, 40.0}) {
                CHECK(error(market.inverse_displacement(market.displacement({q, q})), q) < 1e-13);
            }
        });
    }
}

TEST_CASE("many trades side by side fetch the bits that each fetches by itself, on every instruction set") {
    tests::Generator random(11);
    const fp::KernelList kernels = fp::available_kernels();
    std::size_t different = 0;
    for (int round = 0; round < 4'000; ++round) {
        const auto sometimes = [&](double value) { return random.below(2) ? value : 0.0; };
        const fp::LinearMarket given{sometimes(random.spread(-10, 2)), sometimes(random.spread(-10, 0)),
                                     sometimes(random.between(0.0, 1.9)), random.below(2) ? 1.0 : random.spread(-3, 3)};
        const fp::Market<fp::LinearImpact> market{{given.coefficient}, given.permanent, given.spread, 0.0, given.liquidity,
                                                  nullptr};
        const bool mixed = random.below(3) == 0;  // both directions, nothing, more than any price can bear
        const double scale = random.spread(-20, mixed ? 40 : 6), s = random.below(2) ? 1.0 : -1.0;
        fp::State state{scale * random.between(-9.0, 9.0), scale * random.between(-9.0, 9.0)};
        fp::Trades trades;
        trades.count = random.below(fp::Trades::most + 1);
        for (std::size_t i = 0; i < trades.count; ++i) {
            trades.sold[i] = state.sold;
            trades.recovering[i] = state.recovering;
            trades.quantity[i] = s * scale * random.uniform();
            if (mixed) trades.quantity[i] *= static_cast<double>(random.below(3)) - 1.0;
            state = state.after(trades.quantity[i]);
        }
        for (std::size_t k = 0; k < kernels.count; ++k) {
            kernels.items[k]->linear_proceeds(given, 97.0, trades);
            for (std::size_t i = 0; i < trades.count; ++i) {
                const double alone = market.proceeds(97.0, {trades.sold[i], trades.recovering[i]}, trades.quantity[i]);
                different += alone == alone ? !tests::same_bits(trades.money[i], alone) : trades.money[i] == trades.money[i];
            }
        }
    }
    CHECK(different == 0);
}
