// How volumes recover in time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "flushpoint/math.hpp"

namespace flushpoint {

// What is left of a volume after so many steps: 2^(-time / half-life).
class Recovery {
public:
    Recovery(double step, double half_life, std::int64_t steps) : step_(step), half_life_(half_life) {
        const auto remembered = static_cast<std::size_t>(std::min<std::int64_t>(steps, 256));
        for (std::size_t n = 0; n < remembered; ++n) left_.push_back(compute(static_cast<std::int64_t>(n)));
    }

    double left_after(std::int64_t steps) const {
        const auto n = static_cast<std::size_t>(steps);
        return n < left_.size() ? left_[n] : compute(steps);
    }
    // What recovers of v by step `now`, if it was traded in step `since`.
    double recovering(double v, std::int64_t since, std::int64_t now) const {
        if (v == 0.0 || half_life_ == math::infinity || now == since) return v;
        return v * left_after(now - since);
    }
    bool lasts() const { return half_life_ == math::infinity; }

private:
    double compute(std::int64_t steps) const {
        return math::left_after(static_cast<double>(steps) * step_, half_life_);
    }

    double step_, half_life_;
    std::vector<double> left_;
};

}  // namespace flushpoint
