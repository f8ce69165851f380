// Funding: what longs pay shorts at regular times.
#pragma once

#include <algorithm>
#include <cstdint>

namespace flushpoint {

// A payment at the rate F multiplies trigger and bankruptcy prices of both sides by 1 + F.
struct Funding {
    const double* due;    // whether there is a payment at the end of each step, 0 for none
    const double* rates;  // of these; null: by the rule
    double interest;      // of the rule, for eight hours, as the next
    double clamp;
    double cap;    // of a payment
    double share;  // of eight hours

    // The rate at the end of a step; premium: traded / exogenous price - 1.
    double rate(std::int64_t step, double premium) const {
        if (rates) return rates[step];
        const double eight_hours = premium + std::clamp(interest - premium, -clamp, clamp);
        return std::clamp(eight_hours * share, -cap, cap);
    }
};

}  // namespace flushpoint
