// Auto-deleveraging: which winners are closed, and how much of each, where a loser's loss finds nobody else to pay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "flushpoint/math.hpp"

namespace flushpoint {

// Queues close whole positions by a score, the last in part; the others spread the quantity. none and socialised close
// nobody. With profit and equity at the price P of the closing, per unit s (P - E) and s (P - B):
//   queue               (s (P - E) / E) * (P / (s (P - B)))     profit ratio x effective leverage
//   queue_margin_ratio  (profit / max(1, wallet)) * (maintenance / equity), wallet s (E - B), maintenance s (T - B) P / T
//   queue_price_ratio   (P / E)^s * (P / (s (P - B)))
//   list_order          input order
//   pro_rata            equal shares of quantity
//   pro_rata_profit     shares in proportion to profit, none above 1
//   water_filling       whatever minimises the largest effective leverage left
enum class AdlRule : int {
    none,
    queue,
    queue_margin_ratio,
    queue_price_ratio,
    list_order,
    pro_rata,
    pro_rata_profit,
    water_filling,
    socialised,
};

struct Candidate {
    double quantity;
    double entry_price;
    double bankruptcy_price;
    double trigger;
    std::int32_t place;  // in input order, which settles ties
    // Of an account that shares margin, for queue_margin_ratio: the wallet, and maintenance / notional; nan: the position's.
    double wallet = math::not_a_number;
    double asked = math::not_a_number;
};

// What a candidate has gained at a price, a unit.
inline double profit(const Candidate& one, double price, bool shorts) {
    return shorts ? one.entry_price - price : price - one.entry_price;
}

// Writes how much of each candidate is closed, of one side, at a price: of those in profit, in all `needed`, or
// everything they hold where that is less. Returns the sum.
double deleverage(AdlRule rule, double price, bool shorts, double needed, std::span<const Candidate> candidates,
                  std::span<double> closed);

}  // namespace flushpoint
