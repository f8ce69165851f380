// Whether numbers keep within bounds.
#pragma once

#include <algorithm>
#include <cstddef>

namespace flushpoint {

// Whether all values are above one number and below another, which a NaN is not.
inline bool all_between(const double* values, std::size_t count, double above, double below) {
    return std::all_of(values, values + count, [&](double x) { return x > above && x < below; });
}

}  // namespace flushpoint
