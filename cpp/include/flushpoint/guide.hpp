// Searches of many paths at once for the ends of their next waves, guided by where the positions of a side stand on a grid
// of log prices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/book.hpp"

namespace flushpoint {

// About how many positions of a side are crossed at a log price. A guess: nothing but speed depends on it.
struct GuideView {
    double first;                  // log price from which the grid reaches, in firing order
    double scale;                  // cells a unit of log price, negative for longs
    double last;                   // cell
    const std::uint32_t* crossed;  // at the edges of the cells
};

class Guide {
public:
    Guide() = default;
    // Of the positions that fire before the log price has come to `limit`.
    Guide(const SideView& side, bool shorts, double limit);

    GuideView view() const { return {first_, scale_, static_cast<double>(crossed_.size() - 2), crossed_.data()}; }

private:
    double first_ = 0.0, scale_ = 0.0;
    std::vector<std::uint32_t> crossed_{0, 0};
};

// One side of a sorted book, to be searched.
struct alignas(64) SearchedSide {
    GuideView guide;
    const double* trigger;
    const double* quantity_sum;
    std::uint64_t positions;

    SearchedSide(const SideView& side, const GuideView& by)
        : guide(by), trigger(side.trigger), quantity_sum(side.quantity_sum), positions(side.count) {}
};

// The cascades of several paths, each in one side of a sorted book, of which [0, closed) are closed.
struct Searches {
    static constexpr std::size_t most = 256;
    static constexpr std::size_t room = most + 8;  // so that what belongs together is not all in one set of the cache
    using Numbers = double[room];
    using Indices = std::uint64_t[room];

    Searches(const SearchedSide& longs, const SearchedSide& shorts) : sides{longs, shorts} {}

    SearchedSide sides[2];
    std::size_t count = 0;  // of those below in use
    alignas(64) Indices is_short;
    alignas(64) Numbers sign, first, scale, last;  // of the side: +1 for longs, -1 for shorts; of its guide
    alignas(64) Numbers log_start;
    // What was sold, and what recovers, but was not closed by these positions; what the other side has closed, sold less
    // bought.
    alignas(64) Numbers outside, recovered, others;
    // Where the waves so far have brought it.
    alignas(64) Numbers closed, waves;  // whole numbers
    alignas(64) Numbers next;           // trigger of the side, NaN for none
    alignas(64) Numbers quantity;       // closed of the side
    alignas(64) Numbers sold, recovering, displacement, mark_displacement, highest, lowest;
    // Found: the start price, the end of those crossed, and those cascades in which that is `closed`, which are through,
    // with the log of the next trigger.
    alignas(64) Numbers start;
    alignas(64) Indices end;
    std::size_t through[room], ended;
    Numbers log_next;

    void enter(std::size_t i, bool shorts) {
        const GuideView& guide = sides[shorts].guide;
        is_short[i] = shorts;
        sign[i] = shorts ? -1.0 : 1.0;
        first[i] = guide.first;
        scale[i] = guide.scale;
        last[i] = guide.last;
    }
    // Puts what the last one is in the place of another.
    void drop(std::size_t i) {
        --count;
        const auto move = [&](auto&... column) { ((column[i] = column[count]), ...); };
        move(is_short, sign, first, scale, last, log_start, outside, recovered, others, closed, waves, next, quantity, sold,
             recovering, displacement, mark_displacement, highest, lowest);
    }
};

}  // namespace flushpoint
