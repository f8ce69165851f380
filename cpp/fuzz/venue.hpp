// Venues and stop orders.
#pragma once

#include "flushpoint/venue_run.hpp"
#include "input.hpp"

namespace fuzz {

// A venue that owns its schedule. Pacing, delay and price band act in time only.
class VenueRules {
public:
    explicit VenueRules(Input& in, bool in_time = false) : floor_(in.rising(in.below(4), 100.0)) {
        floor_.insert(floor_.begin(), 0.0);
        rate_ = in.rising(floor_.size(), 0.01);
        double deduction = 0.0;
        for (std::size_t k = 0; k < floor_.size(); ++k) {
            rate_[k] = std::min(rate_[k], 0.5 + 0.01 * static_cast<double>(k));
            deduction += k == 0 ? 0.0 : floor_[k] * (rate_[k] - rate_[k - 1]);
            deduction_.push_back(deduction);
        }
        data.fund = in.not_negative(100.0);
        data.fee_rate = in.flag() ? in.between(0.0, 0.1) : 0.0;
        data.fee_to_fund = in.flag();
        data.surplus_to = static_cast<fp::SurplusTo>(in.below(3));
        data.adl = static_cast<fp::AdlRule>(in.below(9));
        data.adl_at_mark = in.flag();
        data.close = static_cast<fp::CloseRule>(in.below(3));
        if (data.close == fp::CloseRule::fraction && in.flag()) data.fraction = in.between(0.01, 1.0);
        data.target = in.between(1.0, 2.0);
        data.whole_below = in.not_negative(10.0);
        data.tiers = {floor_.data(), rate_.data(), deduction_.data(), floor_.size()};
        if (!in_time) return;
        if (in.flag()) data.pacing = in.positive(1.0);
        if (in.flag()) data.delay = in.between(0.0, 300.0);
        if (in.flag()) data.price_band = in.positive(0.05);
    }
    VenueRules(const VenueRules&) = delete;
    VenueRules& operator=(const VenueRules&) = delete;

    fp::VenueData data;

private:
    std::vector<double> floor_, rate_, deduction_;
};

// Which positions are stop orders: none, or any.
class StopOrders {
public:
    StopOrders(Input& in, const tests::SortedBook& book) : any_(in.flag()) {
        for (std::size_t s = 0; s < 2; ++s) {
            const std::size_t count = s == 0 ? book.longs.size() : book.shorts.size();
            flags_[s] = std::make_unique<bool[]>(count + 1);
            for (std::size_t i = 0; any_ && i < count; ++i) flags_[s][i] = in.flag();
        }
    }
    fp::VenueBookView view(const tests::SortedBook& book) const {
        fp::VenueBookView out = book.venue_view();
        if (!any_) return out;
        out.longs.stop = flags_[0].get();
        out.shorts.stop = flags_[1].get();
        return out;
    }

private:
    bool any_;
    std::unique_ptr<bool[]> flags_[2];
};

}  // namespace fuzz
