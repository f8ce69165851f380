// Realised volatility of a price, told step by step.
#pragma once

#include "flushpoint/math.hpp"

namespace flushpoint {

inline constexpr double seconds_a_year = 365.0 * 86'400.0;

// An exponentially weighted mean of squared log moves.
class RealisedVolatility {
public:
    // `initial`: per square root of a year; `memory` and `step` in seconds: after `memory` a move has half its weight.
    RealisedVolatility(double initial, double memory, double step)
        : kept_(math::left_after(step, memory)),
          steps_a_year_(seconds_a_year / step),
          variance_(initial * initial) {}

    void move(double log_move) {
        variance_ = kept_ * variance_ + (1.0 - kept_) * (log_move * log_move * steps_a_year_);
    }
    double per_year() const { return math::square_root(variance_); }

private:
    double kept_;
    double steps_a_year_;
    double variance_;
};

}  // namespace flushpoint
