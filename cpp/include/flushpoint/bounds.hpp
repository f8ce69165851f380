// Whether numbers keep within bounds.
#pragma once

#include <cstddef>

namespace flushpoint {

// Whether all values are above one number and below another, which a NaN is not. Without a branch, so many at a time.
inline bool all_between(const double* values, std::size_t count, double above, double below) {
    std::size_t inside = 0;
    for (std::size_t i = 0; i < count; ++i) inside += (values[i] > above) & (values[i] < below);
    return inside == count;
}

}  // namespace flushpoint
