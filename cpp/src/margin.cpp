#include "flushpoint/margin.hpp"

#include <bit>
#include <vector>

#include "flushpoint/math.hpp"

namespace flushpoint {

namespace {

std::size_t tier_of(const TierView& tiers, double notional) {
    std::size_t k = 0;
    for (std::size_t j = 1; j < tiers.count; ++j) k += tiers.floor[j] < notional;
    return k;
}

double maintenance_of(const TierView& tiers, double notional) {
    const std::size_t k = tier_of(tiers, notional);
    return tiers.rate[k] * notional - tiers.deduction[k];
}

double bankruptcy_price(bool inverse, double fee_rate, double s, double q, double entry, double collateral) {
    if (inverse) return q * (s + fee_rate) / (collateral + s * q / entry);
    return (s * q * entry - collateral) / (q * (s - fee_rate));
}

// Maintenance valued at the mark. The notional at the liquidation price solves
//   linear:  (s - m_k - f) N + d_k = t,  t = s q E - w       inverse:  (s + m_k + f) N - d_k = t,  t = w + s q / E
// and the left side, continuous across tiers, is monotone in N: the tier is found by comparing t with its values at
// the floors, and exactly one fits.
class MarkTiers {
public:
    MarkTiers(const TierView& tiers, bool inverse, double fee_rate)
        : places_(std::bit_ceil(tiers.count)), inverse_(inverse) {
        for (int side = 0; side < 2; ++side) {
            const double s = side == 0 ? 1.0 : -1.0;
            for (std::size_t k = 0; k < tiers.count; ++k) {
                const double slope = inverse ? s + tiers.rate[k] + fee_rate : s - tiers.rate[k] - fee_rate;
                const double offset = inverse ? -tiers.deduction[k] : tiers.deduction[k];
                slope_[side].push_back(slope);
                offset_[side].push_back(offset);
                at_floor_[side].push_back(s * (slope * tiers.floor[k] + offset));  // times s, so that they rise
            }
            at_floor_[side].resize(places_, math::infinity);
        }
    }

    double price(double s, double q, double entry, double collateral, double fixed_fee) const {
        const double t = inverse_ ? collateral - fixed_fee + s * q / entry : s * q * entry - collateral + fixed_fee;
        const int side = s > 0.0 ? 0 : 1;
        const double* at_floor = at_floor_[side].data();
        std::size_t k = 0;
        for (std::size_t step = places_ / 2; step > 0; step /= 2) k += at_floor[k + step] < s * t ? step : 0;
        const double slope = q * slope_[side][k], rest = t - offset_[side][k];
        return inverse_ ? slope / rest : rest / slope;
    }

private:
    std::size_t places_;  // a power of two, tiers filled up with some that never begin
    bool inverse_;
    std::vector<double> slope_[2], offset_[2], at_floor_[2];
};

// Maintenance fixed in advance, valued at entry or given.
double fixed_price(const MarginRule& rule, double s, double q, double entry, double collateral, double maintenance) {
    const double f = rule.fee_at == FeeAt::mark ? rule.fee_rate : 0.0;
    if (rule.inverse) return q * (s + f) / (collateral + s * q / entry - maintenance);
    return (maintenance - collateral + s * q * entry) / (q * (s - f));
}

// No positive price: a linear long is never liquidated, a linear short at any price (its collateral is gone), an inverse
// long at any price, an inverse short never (its loss in base units is bounded).
double limited(double price, bool inverse) {
    if (price > 0.0) return price;
    return inverse ? math::infinity : 0.0;
}

}  // namespace

void liquidation_prices(const MarginRule& rule, const MarginColumns& in, double* out, int threads, const Poll& poll) {
    const bool at_mark = rule.valuation == Valuation::mark;
    const MarkTiers mark_tiers(rule.tiers, rule.inverse, rule.fee_at == FeeAt::mark ? rule.fee_rate : 0.0);
    const bool reserved = rule.fee_at == FeeAt::bankruptcy && rule.fee_rate != 0.0;
    in_blocks(in.count, threads, poll, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            const double s = in.sign(i), q = in.quantity[i], entry = in.entry_price[i], w = in.collateral(i);
            double fee = 0.0;  // the part that is fixed beforehand
            if (reserved) {
                const double bankruptcy = bankruptcy_price(rule.inverse, rule.fee_rate, s, q, entry, w);
                fee = rule.fee_rate * (rule.inverse ? q / bankruptcy : q * bankruptcy);
            }
            double price;
            if (at_mark) {
                price = mark_tiers.price(s, q, entry, w, fee);
            } else {
                const double maintenance = rule.valuation == Valuation::entry
                                               ? maintenance_of(rule.tiers, rule.inverse ? q / entry : q * entry)
                                               : in.maintenance[i];
                price = fixed_price(rule, s, q, entry, w, maintenance + fee);
            }
            out[i] = limited(price, rule.inverse);
        }
    });
}

void bankruptcy_prices(bool inverse, double fee_rate, const MarginColumns& in, double* out, int threads,
                       const Poll& poll) {
    in_blocks(in.count, threads, poll, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            out[i] = bankruptcy_price(inverse, fee_rate, in.sign(i), in.quantity[i], in.entry_price[i],
                                      in.share[i] * in.collateral(i));
        }
    });
}

void maintenance_margins(const TierView& tiers, const double* notional, std::size_t count, double* out) {
    for (std::size_t i = 0; i < count; ++i) out[i] = maintenance_of(tiers, notional[i]);
}

}  // namespace flushpoint
