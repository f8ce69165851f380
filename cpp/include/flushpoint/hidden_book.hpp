// The hidden book: leveraged positions inferred from prices and open interest, row by row.
//
// Positions are kept by class of leverage, side and trigger price, on a fixed grid of log price. In each row, of which
// only open, high, low and close are used before its liquidations are predicted:
//   1. what the row's path crosses is liquidated, less what closes of itself before the path gets there;
//   2. positions close at their class's rate, and as many as that takes from the class's share of open interest open
//      evenly along the path: what the rest of the path crosses of these is liquidated, too;
//   3. positions whose trigger is now nearer to the row's extreme than it was to their entry close as fast as such do;
//   4. the row's open interest is taken: growth opens positions evenly over the row's range, though no more than the
//      class's share lacks; what the class holds above its share closes, all alike.
// The path runs from the open to both extremes and to the close, in either order, with weights. An amount is split
// between the two cells about its trigger.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "flushpoint/parallel.hpp"

namespace flushpoint {

struct PriceHistory {
    const double* open;
    const double* high;
    const double* low;
    const double* close;
    const double* open_interest;  // quote units
    double hours;                 // length of a row
    std::size_t rows;
};

// Per class: share of open interest and, for longs then shorts, the log distance from entry to trigger, at least a
// cell; from 10 up, inf included, it counts as never and such positions are not kept.
struct LeverageClasses {
    const double* share;
    const double* distance[2];
    std::size_t count;
};

struct FlowRule {
    double turnover;  // closing rate per hour of a position 1 % from its trigger, in an hour that ranges 1 %
    double activity;  // turnover goes with range to this power
    double body;      // log odds that the low came first, per (close - open) / (high - low) in logs
    double cell;      // grid step, log price
    int steps;        // at most so many entry prices on each leg of a path
};

struct HiddenBook {
    std::vector<double> liquidated[2];  // predicted notional of each row, longs then shorts
    std::vector<double> quantity[2];    // after the last row: class by class, a cell each
    std::vector<double> seen[2];        // after each row asked for: all classes together, a cell each
    std::ptrdiff_t first_cell;          // the price of cell i is exp((first_cell + i) * cell)
    std::size_t cells;
};

// `rows` are those after which the book is wanted, too, in rising order.
HiddenBook infer_book(const PriceHistory& history, const LeverageClasses& classes, const FlowRule& rule,
                      const Poll& poll, std::span<const std::int64_t> rows = {});

}  // namespace flushpoint
