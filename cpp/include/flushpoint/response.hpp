// The response map: from rest, every outcome of a book as steps in the size of the shock or of the initial sale.
//
// Position k, met after Q_k has been sold, closes once the start price is at or below trigger_j * exp(mark_weight *
// g(Q_j)) for every j up to k: the outcome changes where that running minimum does. For shorts the running maximum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "flushpoint/book.hpp"
#include "flushpoint/market.hpp"

namespace flushpoint {

// Row m tells the outcome once m steps have happened, and `key`, where step m happens: keys fall from row to row, and
// a step has happened when its key is at or above the question's. The last row's key is -inf.
// In the map of shocks the key is the start price (shorts: its negative); in that of sales, the negative size.
struct Step {
    double key;
    double price_factor;  // final price / start price; in the map of sales not used
    std::int64_t closed;  // positions, in firing order
};

// The steps of one side and a table that leads to the right row at once: the row for a key stands at or after
// first[slot(key)], and at most few rows after. Slots are equal ranges of keys.
struct StepsView {
    const Step* rows;
    std::size_t steps;
    const std::int32_t* first;  // slots + 1 entries
    std::size_t slots;
    double top;    // keys from here up fall into slot 0
    double scale;  // slots a unit of key
};

// What the rows are made of: for each position the key from which it closes once those before it have, and final price /
// start price while it has not (null in the map of sales).
struct StepColumns {
    std::size_t count;
    std::unique_ptr<double[]> keys;
    std::unique_ptr<double[]> price_factors;
    double last_factor;  // once all have closed
    std::size_t rows;    // how many rows they make
};

StepColumns shock_steps(const SideView& side, const MarketData& market, bool shorts, int threads, const Poll& poll);
StepColumns sale_steps(const SideView& side, const MarketData& market, bool shorts, int threads, const Poll& poll);

// A row for each new running minimum of the keys, and one for the end: columns.rows of them.
void write_rows(const StepColumns& columns, Step* rows);

// How a table over these rows is laid out, and the table.
StepsView table_layout(const Step* rows, std::size_t count);
void fill_table(const StepsView& view, std::int32_t* first);

// One question of the map: the shock or the size of the sale; the longs' steps answer falls, the shorts' rises.
struct Questions {
    const double* values;
    std::size_t count;
};
struct Answers {
    double* final_price;
    std::int64_t* closed;
};

void answer_shocks(const StepsView& longs, const StepsView& shorts, double price, const Questions& questions,
                   const Answers& answers, int threads, const Poll& poll);
void answer_sales(const StepsView& longs, const StepsView& shorts, const BookView& book, const MarketData& market,
                  const Questions& questions, const Answers& answers, int threads, const Poll& poll);

inline namespace FLUSHPOINT_ARCH {

inline std::size_t slot(const StepsView& s, double key) {
    double at = (s.top - key) * s.scale;
    at = at > 0.0 ? at : 0.0;
    const double last = static_cast<double>(s.slots - 1);
    return static_cast<std::size_t>(static_cast<std::int64_t>(at < last ? at : last));
}

// The number of steps whose key is at or above `key`, from the row where its slot begins; none for a NaN.
inline std::size_t find_row(const StepsView& s, std::size_t row, std::size_t slot, double key) {
    key = key < math::lowest ? math::lowest : key;  // the last row ends the search for -inf, too
    for (int tries = 0; tries < 3; ++tries, ++row) {
        if (!(s.rows[row].key >= key)) return row;
    }
    std::size_t low = row, high = static_cast<std::size_t>(s.first[slot + 1]);
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (s.rows[middle].key >= key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
