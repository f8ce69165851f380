// Where the positions of a side stand on a grid of log prices.
#pragma once

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

}  // namespace flushpoint
