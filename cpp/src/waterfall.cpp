#include "flushpoint/waterfall.hpp"

#include <algorithm>

#include "flushpoint/running_sum.hpp"

namespace flushpoint {

void look_ahead(const SideView& side, const double* bankruptcy, bool shorts, double* value_sum, double* ahead,
                double* behind) {
    constexpr std::size_t stride = BankruptcyView::stride;
    const double s = shorts ? -1.0 : 1.0;
    RunningSum sum;
    value_sum[0] = 0.0;
    double least = math::infinity, most = -math::infinity;
    const std::size_t entries = strides(side.count);
    for (std::size_t i = 0; i < side.count; ++i) {
        if (i % stride == 0) behind[i / stride] = least;
        value_sum[i + 1] = sum.add(side.quantity[i] * bankruptcy[i]);
        least = std::min(least, s * bankruptcy[i]);
    }
    std::fill(behind + (side.count + stride - 1) / stride, behind + entries, least);
    for (std::size_t entry = entries; entry-- > 0;) {
        const std::size_t begin = std::min(entry * stride, side.count), end = std::min(begin + stride, side.count);
        for (std::size_t i = begin; i < end; ++i) most = std::max(most, s * bankruptcy[i]);
        ahead[entry] = most;
    }
}

}  // namespace flushpoint
