// Support: buyers who wait at given prices below the market's.
#pragma once

#include <cstddef>

#include "flushpoint/arch.hpp"
#include "flushpoint/math.hpp"

namespace flushpoint {

// By falling price.
struct SupportView {
    const double* price;
    const double* quantity;
    std::size_t count;
};

inline namespace FLUSHPOINT_ARCH {

// Whenever the traded price lies below theirs they buy until it is back there or their quantity is used up, those at the
// highest price first. What is bought stays bought.
class Support {
public:
    explicit Support(const SupportView& view) : view_(view) { turn_to(0); }

    // The exogenous log price from now on.
    void set_start(double log_start) { log_start_ = log_start; }

    // Of the first who still buy; -inf once nobody does.
    double log_price() const { return log_price_; }
    double bought() const { return bought_; }

    // What they buy in this state.
    template <class Market, class State>
    double buy(const Market& market, State state) {
        double total = 0.0;
        while (market.displacement(state) > log_start_ - log_price_) {
            const double wanted = market.purchase_to(state, log_start_ - log_price_);
            if (!(wanted > 0.0)) break;  // the price is off by rounding only
            const double part = wanted < left_ ? wanted : left_;
            state = state.after(-part);
            total += part;
            left_ -= part;
            if (left_ > 0.0) break;
            turn_to(next_ + 1);
        }
        bought_ += total;
        return total;
    }

private:
    [[gnu::noinline]] void turn_to(std::size_t i) {
        next_ = i;
        const bool any = i < view_.count;
        log_price_ = any ? math::log(view_.price[i]) : -math::infinity;
        left_ = any ? view_.quantity[i] : 0.0;
    }

    SupportView view_;
    std::size_t next_ = 0;
    double log_start_ = 0.0;
    double log_price_;
    double left_;
    double bought_ = 0.0;
};

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
