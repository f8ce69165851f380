// A book: the positions of one market, longs by falling and shorts by rising trigger, ties in input order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flushpoint/parallel.hpp"

namespace flushpoint {

// One side in firing order. The sums run over the positions before each index: sum[0] = 0, sum[count] = all.
// `count` leaves out positions that can never trigger (longs at 0, shorts at inf), which stand last.
struct SideView {
    const double* trigger;
    const double* quantity;
    const double* quantity_sum;
    const double* notional_sum;
    std::size_t count;
};

struct BookView {
    SideView longs;
    SideView shorts;
};

// Columns in input order; `bankruptcy` may be null. side is +1 or -1, trigger >= 0 and not NaN.
struct PositionColumns {
    const std::int8_t* side;
    const double* quantity;
    const double* trigger;
    const double* bankruptcy;
    std::size_t count;
};

// Columns of one side to be written, each as long as that side (`bankruptcy` null with the input's).
struct SideColumns {
    double* trigger;
    double* quantity;
    double* bankruptcy;
    std::int32_t* index;
};

std::size_t count_longs(const std::int8_t* side, std::size_t count);

// Sorts positions into firing order. Needs no memory that grows with the book beyond the columns it writes.
void sort_positions(const PositionColumns& in, const SideColumns& longs, const SideColumns& shorts, int threads,
                    const Poll& poll);

// How many of one side's sorted triggers can fire at all: those neither 0 nor inf.
std::size_t count_live(const double* trigger, std::size_t count);

// Running sums of quantity and of quantity * trigger, count + 1 of each, correct to the last bit or so whatever the
// length. Positions from `live` on can never trigger and add no notional.
void accumulate(const double* quantity, const double* trigger, std::size_t count, std::size_t live,
                double* quantity_sum, double* notional_sum);

}  // namespace flushpoint
