// Depth that lives: it thins, and the spread widens, where the price moves more than it normally does; then it refills.
#pragma once

#include "flushpoint/math.hpp"
#include "flushpoint/volatility.hpp"

namespace flushpoint {

// Validated by the caller: all but `elasticity`, `refill_half_life` and `spread_elasticity` positive, those at least 0.
struct LivingDepthData {
    double normal_volatility;  // per square root of a year
    double elasticity;
    double memory;  // seconds, of realised volatility
    double least;   // liquidity
    double refill_half_life;  // seconds; 0 for at once, inf for never
    double spread_elasticity;
    double most_spread;
};

class LivingDepth {
public:
    // At rest, with the spread that it has there.
    LivingDepth(const LivingDepthData& data, double step, double log_price, double spread)
        : data_(data),
          realised_(data.normal_volatility, data.memory, step),
          missing_(math::left_after(step, data.refill_half_life)),
          resting_spread_(spread),
          log_price_(log_price),
          spread_(spread) {}

    // The traded price has come to this by the end of a step; one of 0 or inf tells nothing of volatility.
    void move(double log_price) {
        if (log_price > -math::infinity && log_price < math::infinity) {
            realised_.move(log_price - log_price_);
            log_price_ = log_price;
        }
        const double volatility = realised_.per_year(), normal = data_.normal_volatility;
        const bool turmoil = volatility > normal;
        double target = turmoil ? math::pow(normal / volatility, data_.elasticity) : 1.0;
        if (target < data_.least) target = data_.least;
        const double refilled = 1.0 - (1.0 - liquidity_) * missing_;
        liquidity_ = target < refilled ? target : refilled;
        if (liquidity_ < least_) least_ = liquidity_;
        if (data_.spread_elasticity == 0.0) return;
        const double wide = resting_spread_ * (1.0 + data_.spread_elasticity * (turmoil ? volatility / normal - 1.0 : 0.0));
        spread_ = wide < data_.most_spread ? wide : data_.most_spread;
    }

    // What the next step meets.
    double liquidity() const { return liquidity_; }
    double spread() const { return spread_; }
    double least_liquidity() const { return least_; }  // so far

private:
    LivingDepthData data_;
    RealisedVolatility realised_;
    double missing_;  // share of what is missing that still is a step later
    double resting_spread_;
    double log_price_;
    double liquidity_ = 1.0;
    double least_ = 1.0;
    double spread_;
};

}  // namespace flushpoint
