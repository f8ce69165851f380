// Books that own their columns, made through the public functions only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/book.hpp"
#include "flushpoint/venue_run.hpp"
#include "flushpoint/waterfall.hpp"
#include "generator.hpp"

namespace tests {

// Columns in input order
struct Positions {
    std::vector<std::int8_t> side;
    std::vector<double> quantity, trigger, bankruptcy;
    std::vector<double> entry;  // none, or one each

    void add(int side_, double quantity_, double trigger_, double bankruptcy_ = 0.0) {
        side.push_back(static_cast<std::int8_t>(side_));
        quantity.push_back(quantity_);
        trigger.push_back(trigger_);
        bankruptcy.push_back(bankruptcy_);
    }
    std::size_t size() const { return side.size(); }
    flushpoint::PositionColumns view(bool bankrupt = true) const {
        return {side.data(), quantity.data(), trigger.data(), bankrupt ? bankruptcy.data() : nullptr, size()};
    }
};

struct SortedSide {
    std::vector<double> trigger, quantity, bankruptcy, quantity_sum, notional_sum;
    std::vector<double> entry, value_sum, ahead, behind;  // for a venue
    std::vector<std::int32_t> index;
    std::size_t live = 0;

    explicit SortedSide(std::size_t n)
        : trigger(n), quantity(n), bankruptcy(n), quantity_sum(n + 1), notional_sum(n + 1), index(n) {}
    std::size_t size() const { return trigger.size(); }
    flushpoint::SideColumns columns(bool bankrupt) {
        return {trigger.data(), quantity.data(), bankrupt ? bankruptcy.data() : nullptr, index.data()};
    }
    void sum() {
        live = flushpoint::count_live(trigger.data(), size());
        flushpoint::accumulate(quantity.data(), trigger.data(), size(), live, quantity_sum.data(), notional_sum.data());
    }
    void look_ahead(bool shorts, const std::vector<double>& entries) {
        value_sum.resize(live + 1);
        ahead.resize(flushpoint::strides(live));
        behind.resize(ahead.size());
        flushpoint::look_ahead(view(), bankruptcy.data(), shorts, value_sum.data(), ahead.data(), behind.data());
        if (entries.empty()) return;
        for (const std::int32_t i : index) entry.push_back(entries[static_cast<std::size_t>(i)]);
    }
    flushpoint::VenueColumns venue_view() const {
        return {{bankruptcy.data(), value_sum.data(), ahead.data(), behind.data()}, index.data(),
                entry.empty() ? nullptr : entry.data(), size()};
    }
    flushpoint::SideView view() const {
        return {trigger.data(), quantity.data(), quantity_sum.data(), notional_sum.data(), live};
    }
};

struct SortedBook {
    SortedSide longs, shorts;

    explicit SortedBook(const Positions& in, int threads = 1, bool bankrupt = true)
        : longs(flushpoint::count_longs(in.side.data(), in.size())), shorts(in.size() - longs.size()) {
        flushpoint::sort_positions(in.view(bankrupt), longs.columns(bankrupt), shorts.columns(bankrupt), threads, {});
        longs.sum();
        shorts.sum();
        if (!bankrupt) return;
        longs.look_ahead(false, in.entry);
        shorts.look_ahead(true, in.entry);
    }
    flushpoint::BookView view() const { return {longs.view(), shorts.view()}; }
    flushpoint::VenueBookView venue_view() const { return {view(), longs.venue_view(), shorts.venue_view()}; }
};

// Both sides at distances up to `depth` from `price`, none crossed there; some positions share a trigger, some can
// never fire. Their quantities add up to about 2 * `total`.
inline Positions random_positions(Generator& random, std::size_t count, double price, double depth, double total) {
    Positions out;
    for (std::size_t i = 0; i < count; ++i) {
        const bool is_long = random.below(2) == 0;
        const double quantity = 4.0 * total * random.uniform() / static_cast<double>(count) + 1e-9 * total;
        double distance = 1e-9 + depth * random.uniform();
        if (random.below(4) == 0) distance = depth * static_cast<double>(1 + random.below(8)) / 8.0;
        double trigger = is_long ? price * (1.0 - distance) : price * (1.0 + distance);
        if (random.below(50) == 0) trigger = is_long ? 0.0 : flushpoint::math::infinity;
        const double margin = 0.02 * random.uniform();
        const double reference = trigger > 0.0 && trigger < flushpoint::math::infinity ? trigger : price;
        out.add(is_long ? +1 : -1, quantity, trigger, reference * (is_long ? 1.0 - margin : 1.0 + margin));
    }
    return out;
}

}  // namespace tests
