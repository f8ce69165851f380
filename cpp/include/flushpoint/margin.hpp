// Margin arithmetic: tiered maintenance, liquidation and bankruptcy prices. Each formula stands here once.
//
// Signs: s = +1 for a long, -1 for a short; q the quantity; E the entry price; w the collateral (margin and what the
// rest of the account adds); P the price; N the notional. Linear contracts are worth q P in quote units and gain
// s q (P - E); inverse ones are worth q / P in base units and gain s q (1/E - 1/P). A position is liquidated where its
// equity has fallen to its maintenance margin m N - d, plus the closing fee f N where the venue charges it there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flushpoint/parallel.hpp"

namespace flushpoint {

enum class Valuation : int { mark, entry, absolute };
enum class FeeAt : int { mark, bankruptcy };

// Tier k holds for floor[k] < N <= floor[k + 1]; maintenance there is rate[k] * N - deduction[k].
struct TierView {
    const double* floor;
    const double* rate;
    const double* deduction;
    std::size_t count;
};

struct MarginRule {
    TierView tiers;  // none for Valuation::absolute
    bool inverse;
    Valuation valuation;
    FeeAt fee_at;
    double fee_rate;
};

// A column of numbers, or one number for all: `stride` is 1 or 0.
struct Numbers {
    const double* data;
    std::size_t stride;

    double operator[](std::size_t i) const { return data[i * stride]; }
};

struct MarginColumns {
    const std::int8_t* side;  // +1 or -1
    std::size_t side_stride;
    Numbers quantity;
    Numbers entry_price;
    Numbers margin;
    Numbers maintenance;        // an amount, for Valuation::absolute
    Numbers other_pnl;          // of the account's other positions
    Numbers other_maintenance;  // that they need
    Numbers share;              // of the collateral, in the bankruptcy price
    std::size_t count;

    double sign(std::size_t i) const { return side[i * side_stride]; }
    double collateral(std::size_t i) const { return margin[i] + other_pnl[i] - other_maintenance[i]; }
};

// Where each position is liquidated. 0 or inf where no price between is: never, or for one whose collateral is long gone,
// at any price. Tells whether it looked at all numbers and found them good: where not, they may still be.
bool liquidation_prices(const MarginRule& rule, const MarginColumns& in, double* out, int threads, const Poll& poll);

// Where the collateral (its share of it) is used up, the closing fee included; not limited to positive prices.
void bankruptcy_prices(bool inverse, double fee_rate, const MarginColumns& in, double* out, int threads,
                       const Poll& poll);

// How large a notional equity can hold at so many times its maintenance: maintenance rises with notional, and is the
// greatest of all tiers' lines.
double largest_notional(const TierView& tiers, double equity, double target);

// The tier that a notional falls into.
std::size_t tier_of(const TierView& tiers, double notional);

// Where one linear position is liquidated whose margin is used up at `bankruptcy`; 0 or inf where nowhere.
double trigger_price(const TierView& tiers, bool shorts, double quantity, double bankruptcy);

// The maintenance margin of each notional.
void maintenance_margins(const TierView& tiers, const double* notional, std::size_t count, double* out);

}  // namespace flushpoint
