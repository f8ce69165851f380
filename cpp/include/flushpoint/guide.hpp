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

// The cascades of several paths, each in one side of a sorted book, of which [0, closed) are closed.
struct Searches {
    static constexpr std::size_t most = 128;

    std::size_t count;  // of those below in use
    alignas(64) double mark_displacement[most];  // as it now is
    alignas(64) double log_start[most];
    alignas(64) double sign[most];  // of the side: +1 for longs, -1 for shorts
    alignas(64) double first[most], scale[most], last[most];  // of the guide
    const std::uint32_t* crossed[most];
    const double* trigger[most];
    const double* quantity_sum[most];
    std::size_t closed[most], positions[most];
    // Found: the start price, the end of those crossed and, where that is `closed`, the log of the next trigger.
    alignas(64) double start[most];
    std::size_t end[most];
    double log_next[most];

    void follow(std::size_t i, const GuideView& guide) {
        first[i] = guide.first;
        scale[i] = guide.scale;
        last[i] = guide.last;
        crossed[i] = guide.crossed;
    }
    // Puts what the last one is in the place of another.
    void drop(std::size_t i) {
        --count;
        const auto move = [&](auto&... column) { ((column[i] = column[count]), ...); };
        move(mark_displacement, log_start, sign, first, scale, last, crossed, trigger, quantity_sum, closed, positions);
    }
};

}  // namespace flushpoint
