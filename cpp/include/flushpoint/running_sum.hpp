// Sums of long columns, correct to the last bit or so whatever their length.
#pragma once

#include <algorithm>

#include "flushpoint/math.hpp"

namespace flushpoint {

// Sums terms >= 0. What each addition loses is summed beside the sum and given back in what is told.
class RunningSum {
public:
    double add(double x) {
        const double total = sum_ + x;
        if (!(total < math::infinity)) return told_ = sum_ = total;
        lost_ += math::sum_error(sum_, x, total);
        sum_ = total;
        told_ = std::max(told_, sum_ + lost_);  // rounding must not make a running sum fall
        return told_;
    }
    double value() const { return told_; }

private:
    double sum_ = 0.0, lost_ = 0.0, told_ = 0.0;
};

}  // namespace flushpoint
