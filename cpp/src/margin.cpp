#include "flushpoint/margin.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "flushpoint/kernels.hpp"
#include "flushpoint/math.hpp"

namespace flushpoint {

std::size_t tier_of(const TierView& tiers, double notional) {
    std::size_t k = 0;
    for (std::size_t j = 1; j < tiers.count; ++j) k += tiers.floor[j] < notional;
    return k;
}

double largest_notional(const TierView& tiers, double equity, double target) {
    double most = math::infinity;
    for (std::size_t k = 0; k < tiers.count; ++k) {
        if (tiers.rate[k] > 0.0) most = std::min(most, (equity / target + tiers.deduction[k]) / tiers.rate[k]);
    }
    return most;
}

// s q (T - B) = m_k q T - d_k, tier by tier; as for MarkTiers a long's price is the greatest of them, a short's the least.
double trigger_price(const TierView& tiers, bool shorts, double quantity, double bankruptcy) {
    const double s = shorts ? -1.0 : 1.0;
    double price = shorts ? math::infinity : 0.0;
    for (std::size_t k = 0; k < tiers.count; ++k) {
        const double own = (s * bankruptcy - tiers.deduction[k] / quantity) / (s - tiers.rate[k]);
        price = shorts ? std::min(price, own) : std::max(price, own);
    }
    return price > 0.0 ? price : 0.0;
}

namespace {

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
// and as rates rise, the left side is the least (linear; inverse: the greatest) of all tiers' lines. Where each line
// alone would have the notional, linear longs and inverse shorts have the greatest of these, the others the least.
class MarkTiers {
public:
    MarkTiers(const TierView& tiers, bool inverse, double fee_rate) : inverse_(inverse) {
        for (std::size_t k = 0; k < tiers.count; ++k) {
            const double charged = tiers.rate[k] + fee_rate;
            offset_.push_back(inverse ? -tiers.deduction[k] : tiers.deduction[k]);
            high_.push_back(inverse ? 1.0 / (charged - 1.0) : 1.0 / (1.0 - charged));
            low_.push_back(inverse ? 1.0 / (1.0 + charged) : 1.0 / (-1.0 - charged));
        }
    }
    TierLines view() const { return {offset_.data(), high_.data(), low_.data(), offset_.size(), inverse_}; }

private:
    bool inverse_;
    std::vector<double> offset_, high_, low_;
};

// A column block by block: where it lies, or copied where that is not possible.
template <class T>
class Blocks {
public:
    static constexpr std::size_t size = 512;

    Blocks(const T* data, std::size_t stride) : data_(data), stride_(stride) {
        if (stride == 0) std::fill_n(copy_, size, *data);
    }
    explicit Blocks(const Numbers& column) : Blocks(column.data, column.stride) {}

    const T* at(std::size_t begin, std::size_t count) {
        if (stride_ == 0) return copy_;
        if (count == size) return data_ + begin;
        std::fill(std::copy_n(data_ + begin, count, copy_), copy_ + size, T{1});
        return copy_;
    }

private:
    const T* data_;
    std::size_t stride_;
    T copy_[size];
};

// No positive price: a linear long is never liquidated, a linear short at any price (its collateral is gone), an inverse
// long at any price, an inverse short never (its loss in base units is bounded).
double limited(double price, bool inverse) {
    if (price > 0.0) return price;
    return inverse ? math::infinity : 0.0;
}

// Positions begin to end, `fee(i)` of whose collateral is reserved, if any; tells whether all numbers are plainly good.
template <class Fee>
bool mark_prices(const TierLines& tiers, const MarginColumns& in, std::size_t begin, std::size_t end, bool reserved,
                 Fee&& fee, double* out) {
    constexpr std::size_t size = Blocks<double>::size;
    Blocks side(in.side, in.side_stride);
    Blocks<double> quantity(in.quantity), entry_price(in.entry_price), margin(in.margin), other_pnl(in.other_pnl),
        other_maintenance(in.other_maintenance);
    double fees[size] = {}, prices[size];
    bool good = true;
    for (std::size_t i = begin; i < end; i += size) {
        const std::size_t n = std::min(size, end - i);
        if (reserved) {
            for (std::size_t k = 0; k < n; ++k) fees[k] = fee(i + k);
        }
        const TierColumns columns{side.at(i, n), quantity.at(i, n), entry_price.at(i, n), margin.at(i, n),
                                  other_pnl.at(i, n), other_maintenance.at(i, n), fees};
        good &= kernels().tier_prices(tiers, columns, (n + 15) / 16 * 16, prices);
        for (std::size_t k = 0; k < n; ++k) out[i + k] = limited(prices[k], tiers.inverse);
    }
    return good;
}

// Maintenance fixed in advance, valued at entry or given.
double fixed_price(const MarginRule& rule, double s, double q, double entry, double collateral, double maintenance) {
    const double f = rule.fee_at == FeeAt::mark ? rule.fee_rate : 0.0;
    if (rule.inverse) return q * (s + f) / (collateral + s * q / entry - maintenance);
    return (maintenance - collateral + s * q * entry) / (q * (s - f));
}

}  // namespace

bool liquidation_prices(const MarginRule& rule, const MarginColumns& in, double* out, int threads, const Poll& poll) {
    const bool at_mark = rule.valuation == Valuation::mark;
    const MarkTiers mark_tiers(rule.tiers, rule.inverse, rule.fee_at == FeeAt::mark ? rule.fee_rate : 0.0);
    const bool reserved = rule.fee_at == FeeAt::bankruptcy && rule.fee_rate != 0.0;
    const auto fee = [&](std::size_t i) {  // the part that is fixed beforehand
        const double q = in.quantity[i];
        const double bankruptcy =
            bankruptcy_price(rule.inverse, rule.fee_rate, in.sign(i), q, in.entry_price[i], in.collateral(i));
        return rule.fee_rate * (rule.inverse ? q / bankruptcy : q * bankruptcy);
    };
    std::atomic<bool> good = at_mark && in.count > 0;
    in_blocks(in.count, threads, poll, [&](std::size_t begin, std::size_t end) {
        if (at_mark) {
            if (!mark_prices(mark_tiers.view(), in, begin, end, reserved, fee, out)) good = false;
            return;
        }
        for (std::size_t i = begin; i < end; ++i) {
            const double s = in.sign(i), q = in.quantity[i], entry = in.entry_price[i];
            const double maintenance = rule.valuation == Valuation::entry
                                           ? maintenance_of(rule.tiers, rule.inverse ? q / entry : q * entry)
                                           : in.maintenance[i];
            const double owed = maintenance + (reserved ? fee(i) : 0.0);
            out[i] = limited(fixed_price(rule, s, q, entry, in.collateral(i), owed), rule.inverse);
        }
    });
    return good;
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
