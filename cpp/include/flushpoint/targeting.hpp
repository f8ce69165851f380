// Volatility targeting: funds that hold less of what moves more.
#pragma once

#include <algorithm>
#include <cstdint>

#include "flushpoint/volatility.hpp"

namespace flushpoint {

// A fund holds `quantity` at the start. Validated by the caller: all numbers positive, and what it may hold finite.
struct VolatilityTargeting {
    double quantity;
    double target;   // volatility, per square root of a year, as the next
    double initial;  // what counts as realised at the start
    double memory;   // seconds
    double most;     // exposure, in units of that at the target
    bool buys_back;
    const double* due;  // whether it looks at the end of each step, 0 for no
};

// One on its way through a path.
class TargetingFund {
public:
    TargetingFund(const VolatilityTargeting& rule, double step)
        : rule_(&rule),
          volatility_(rule.initial, rule.memory, step),
          full_(rule.quantity / exposure(rule.initial)),
          held_(rule.quantity) {}

    // A step ends, of which the traded price has moved so far.
    void move(double log_move) { volatility_.move(log_move); }
    // What it sells next (buys, if negative) to hold what it wants now, where it is time to look.
    double trade(std::int64_t step) {
        if (rule_->due[step - 1] == 0.0) return 0.0;
        const double wanted = full_ * exposure(volatility_.per_year());
        if (wanted > held_ && !rule_->buys_back) return 0.0;
        const double sold = held_ - wanted;
        held_ = wanted;
        return sold;
    }

private:
    double exposure(double volatility) const { return std::min(rule_->most, rule_->target / volatility); }

    const VolatilityTargeting* rule_;
    RealisedVolatility volatility_;
    double full_;  // held at the target
    double held_;  // once what it has decided is traded
};

}  // namespace flushpoint
