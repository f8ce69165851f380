// A book whose positions a venue closes in part, lets wait, or takes from winners. Each side is a threshold heap: the
// sorted run, and an overlay of the positions that returned to it with another trigger.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "flushpoint/cascade.hpp"
#include "flushpoint/firing_queue.hpp"
#include "flushpoint/pulse.hpp"
#include "flushpoint/venue.hpp"
#include "flushpoint/waterfall.hpp"

namespace flushpoint {

// What a venue has to know of one side besides its SideView.
struct VenueColumns {
    BankruptcyView bankruptcy;
    const std::int32_t* index;  // each position's place in the input
    const double* entry_price;  // in firing order; null where nobody's is asked for
    std::size_t count;          // with those that can never trigger
    const bool* stop = nullptr;  // in firing order, which are stop orders; null where none is
};

// What became of each position, in input order; added to as a run goes on.
struct PositionLedger {
    double* quantity;      // closed
    double* money;         // fetched or cost, by market and by auto-deleveraging
    double* adl_quantity;  // of it, by auto-deleveraging
    double* credit;        // paid out to its trader
    double* shortfall;     // of its last close
    double* surplus;
    double* bankruptcy;    // price, of what is left

    void add(std::int32_t place, double size, double price_paid, double by_adl, double paid_out) {
        quantity[place] += size;
        money[place] += price_paid;
        adl_quantity[place] += by_adl;
        credit[place] += paid_out;
    }
};

// What is left of a position that was taken out of the run: a cache line.
struct alignas(64) Holding {
    double trigger;
    double quantity;
    double bankruptcy;
    double rate;                // of maintenance, where there are no tiers
    double original;            // quantity
    double order;               // quantity that is to be closed, as sized when it was triggered
    std::int32_t rank;          // in the run
    std::int32_t place;         // in input order
    std::uint64_t turn : 62;    // in the queue
    std::uint64_t hit : 1;      // closed in part before
    std::uint64_t stop : 1;     // an order of its owner, not a liquidation

    // `size` of it has been closed.
    void shrink(double size) {
        quantity -= size;
        order = std::max(order - size, 0.0);
        hit = true;
    }
};

// One that is crossed: kept in a slot, or still in the run.
struct Crossed {
    std::int32_t at;  // slot, or ~rank

    static Crossed of_rank(std::size_t rank) { return {~static_cast<std::int32_t>(rank)}; }
    bool in_run() const { return at < 0; }
    std::size_t rank() const { return static_cast<std::size_t>(~at); }
};

// What was closed of some positions, in the market or against winners.
struct Amount {
    std::int64_t count = 0;
    double quantity = 0.0;
    double notional = 0.0;
};

// What was closed of a side one by one; copies are added to where many are closed in a row.
struct Tally {
    double quantity = 0.0, notional = 0.0;  // in the wave at hand
    double sold = 0.0, closed = 0.0, closed_notional = 0.0;
    std::int64_t count = 0;
    Amount stops;

    // Part or all of a position has been closed, for the first time or once more.
    void add(double size, double trigger, bool again, bool stop, bool in_market) {
        quantity += size;
        notional += size * trigger;
        if (in_market) sold += size;
        closed += size;
        closed_notional += size * trigger;
        count += !again;
        if (stop) {
            stops.count += 1;
            stops.quantity += size;
            stops.notional += size * trigger;
        }
    }
};

// A wave of a side: a range of the run, or a list of crossed positions where something distinguishes them.
struct VenueWave {
    Range run{0, 0};
    std::int64_t count = 0;
    double quantity = 0.0;  // sold (bought) in the market, once it is settled
    bool listed = false;

    std::int64_t size() const { return count; }
};

// How much of a crossed position is closed at once, at a mark price; `scale`: of its own prices, see funding.hpp.
[[gnu::always_inline]] inline double close_size(const VenueData& venue, bool shorts, const Holding& one, double price,
                                                double scale) {
    constexpr double least = 0.01;  // of the original quantity: nothing left open, and no sized close, is smaller
    const double notional = one.quantity * price;
    const double owed = scale * one.bankruptcy, equity = one.quantity * (shorts ? owed - price : price - owed);
    if (one.stop || !venue.closes_in_part() || !(equity > 0.0) || notional < venue.whole_below) return one.quantity;
    double size = 0.0;
    if (venue.close == CloseRule::tier_step_down) {
        const std::size_t tier = tier_of(venue.tiers, notional);
        size = tier == 0 ? one.quantity : (notional - venue.tiers.floor[tier]) / price;
    } else if (venue.fraction == venue.fraction) {
        size = venue.fraction * one.quantity;
    } else if (venue.tiers.count > 0) {
        size = one.quantity - largest_notional(venue.tiers, equity, venue.target) / price;
    } else if (one.rate > 0.0) {
        size = one.quantity - equity / (venue.target * one.rate * price);
    }
    if (!(venue.fraction == venue.fraction)) size = std::max(size, least * one.original);
    // Of the smallest numbers the least share is 0, and such closes would never end.
    return !(size > 0.0) || one.quantity - size < least * one.original ? one.quantity : size;
}

class VenueBook {
public:
    // One side, as run_waves works through it.
    class Side {
    public:
        Side(VenueBook& book, const SideView& view, const VenueColumns& columns, bool shorts)
            : book_(book), columns_(columns), shorts_(shorts), run_{view, shorts} {}
        Side(const Side&) = delete;  // the book's two know each other through it

        VenueWave take(double mark_factor, double start) {
            tally.quantity = tally.notional = 0.0;
            if (!book_.venue_.waits()) return cross(mark_factor, start);
            return book_.release(*this, mark_factor, start);
        }
        // Sold (bought) in the market since the book was whole, and in one wave.
        double quantity() const { return run_.view.quantity_sum[swept_] + swept_quantity_ + tally.sold; }
        double quantity(const VenueWave& wave) const { return wave.quantity; }
        // Closed by force, in the market or against winners.
        std::int64_t count() const { return tally.count; }
        double closed_quantity() const { return run_.view.quantity_sum[swept_] + swept_quantity_ + tally.closed; }
        double notional() const { return run_.view.notional_sum[swept_] + swept_notional_ + tally.closed_notional; }
        double next_trigger() const {
            const double run = run_.next_trigger();
            if (returned_.empty()) return run;
            const double first = returned_.trigger(shorts_);
            return shorts_ ? std::min(run, first) : std::max(run, first);
        }

        const SideView& view() const { return run_.view; }
        const VenueColumns& columns() const { return columns_; }
        bool shorts() const { return shorts_; }
        double sign() const { return shorts_ ? -1.0 : 1.0; }
        // The crossed positions of the wave at hand, and how much is closed of each where positions wait.
        const std::vector<Crossed>& listed() const { return listed_; }
        const std::vector<double>& closing() const { return closing_; }

        // Closed in the wave at hand.
        double wave_quantity() const { return tally.quantity; }
        double wave_notional() const { return tally.notional; }
        Tally tally;

        // The positions of an unlisted wave are sold as their running sums say.
        void sold(Range run) {
            tally.count += static_cast<std::int64_t>(run.size());
            const Amounts closed = amounts_of(run_.view, run);
            tally.quantity += closed.quantity;
            tally.notional += closed.notional;
            if (run.begin == swept_) {
                swept_ = run.end;
            } else {
                swept_quantity_ += run_.quantity(run);
                swept_notional_ += run.sum(run_.view.notional_sum);
            }
        }
        // Those that are not, one by one.
        VenueWave list(Range run) {
            listed_.clear();
            list_run(run.begin, run.end);
            return listed_wave();
        }
        // One that is still in the run, as it leaves it. Inlined, as what every slice goes through is, though several markets
        // call it: of one that is closed whole at once, little has to be known.
        [[gnu::always_inline]] Holding out_of_run(std::size_t i) const {
            const double whole = run_.view.quantity[i], trigger = run_.view.trigger[i];
            const double bankruptcy = columns_.bankruptcy.price[i];
            return {trigger, left_.empty() ? whole : left_[i], bankruptcy, sign() * (trigger - bankruptcy) / trigger, whole, 0.0,
                    static_cast<std::int32_t>(i), columns_.index[i], 0, 0, columns_.stop && columns_.stop[i]};
        }
        // A slot for it.
        std::int32_t keep(const Holding& one) {
            if (free_.empty()) {
                kept_.push_back(one);
                return static_cast<std::int32_t>(kept_.size() - 1);
            }
            const std::int32_t slot = free_.back();
            free_.pop_back();
            kept(slot) = one;
            return slot;
        }
        // What is kept in a slot, until another position gets one.
        Holding& kept(std::int32_t slot) { return kept_[static_cast<std::size_t>(slot)]; }
        // Where one stands in the input.
        std::int32_t place(Crossed crossed) const {
            return crossed.in_run() ? columns_.index[crossed.rank()] : kept_[static_cast<std::size_t>(crossed.at)].place;
        }
        // It will soon be looked at, and what is kept of it lies far away.
        void expect(std::size_t i) const {
            if (i < listed_.size() && !listed_[i].in_run()) __builtin_prefetch(&kept_[static_cast<std::size_t>(listed_[i].at)]);
        }
        // The rest of a holding waits on if its order is not done, or goes back to the book, with the trigger that its
        // margin now makes; where nothing is left, its slot is free.
        [[gnu::always_inline]] void give_back(std::int32_t slot) {
            Holding& one = kept(slot);
            if (!(one.quantity > 0.0)) {
                free_.push_back(slot);
                return;
            }
            const double owed = one.bankruptcy;
            one.bankruptcy /= book_.scale_;
            if (one.order > 0.0) {
                waiting_.push_front({slot, 0.0});
                return;
            }
            const VenueData& venue = book_.venue_;
            const double s = sign();
            const double trigger = venue.tiers.count > 0 ? trigger_price(venue.tiers, shorts_, one.quantity, owed)
                                                         : s * owed / (s - one.rate);
            one.trigger = trigger / book_.scale_;
            if (!(one.trigger > 0.0)) one.trigger = 0.0;  // a long never fires there, a short at once
            returning_.push_back({one.trigger, shorts_, one.place, slot});
        }
        // Once the wave is over: until then nobody in it can be a winner.
        void end_wave() {
            for (const FiringKey& key : returning_) returned_.push(key);
            returning_.clear();
        }

        // How many of the run have been crossed, those included that had been closed whole as winners.
        std::size_t crossed() const { return run_.closed; }
        // What share of a position of the run was not closed as a winner's.
        double share_left(std::size_t i) const { return left_.empty() ? 1.0 : left_[i] / run_.view.quantity[i]; }

        // Calls f(quantity, trigger, bankruptcy price, rank) for all that are open, those of the run first, each in firing order;
        // f returns how much to take from it.
        template <class Function>
        void for_open(Function&& f) {
            for (std::size_t i = run_.closed; i < columns_.count; ++i) {
                const double left = left_.empty() ? run_.view.quantity[i] : left_[i];
                if (left <= 0.0) continue;
                const double size = f(left, run_.view.trigger[i], columns_.bankruptcy.price[i], i);
                if (size == 0.0) continue;
                if (left_.empty()) left_.assign(run_.view.quantity, run_.view.quantity + columns_.count);
                left_[i] -= size;
            }
            for (const FiringKey& key : returned_.all()) {
                Holding& one = kept(key.slot());
                if (one.quantity <= 0.0) continue;
                const double size = f(one.quantity, one.trigger, one.bankruptcy, static_cast<std::size_t>(one.rank));
                one.quantity -= size;
                reduced_ |= size != 0.0;
            }
        }

    private:
        friend class VenueBook;
        struct Waiting {
            std::int32_t slot;
            double due;  // seconds
        };
        struct Released {
            std::int32_t slot;
            double closing;
        };

        std::uint64_t turn(std::int32_t slot) const { return kept_[static_cast<std::size_t>(slot)].turn; }
        void line_up() {
            std::sort(released_.begin(), released_.end(),
                      [&](const Released& a, const Released& b) { return turn(a.slot) < turn(b.slot); });
        }
        void list_released() {
            listed_.clear();
            closing_.clear();
            for (const Released& one : released_) {
                listed_.push_back({one.slot});
                closing_.push_back(one.closing);
            }
        }
        void list_run(std::size_t begin, std::size_t end) {
            const std::size_t first = listed_.size();
            listed_.resize(first + (end - begin));
            for (std::size_t i = begin; i < end; ++i) listed_[first + (i - begin)] = Crossed::of_rank(i);
        }
        VenueWave listed_wave() const { return {{0, 0}, static_cast<std::int64_t>(listed_.size()), 0.0, true}; }

        bool crossed(double trigger, double mark_factor, double start) const {
            return shorts_ ? short_crossed(trigger, mark_factor, start) : long_crossed(trigger, mark_factor, start);
        }
        // Takes out what the crossing test finds crossed.
        VenueWave cross(double mark_factor, double start) {
            const Range run = run_.take(mark_factor, start);
            const bool as_it_is =
                !book_.venue_.closes_in_part() && !book_.venue_.waits() && !columns_.stop && left_.empty();
            if (as_it_is) {
                return {run, static_cast<std::int64_t>(run.size()), 0.0, false};
            }
            listed_.clear();
            returned_.take(
                [&](std::uint64_t order) {
                    const double trigger = FiringKey::trigger(order, shorts_);
                    return (shorts_ || trigger > 0.0) && crossed(trigger, mark_factor, start);
                },
                due_);
            listed_.reserve(run.size() + due_.size());
            std::size_t next = 0;
            const auto list_returned = [&] {
                const std::int32_t slot = due_[next++].slot();
                if (!reduced_ || kept(slot).quantity > 0.0) {
                    listed_.push_back({slot});
                } else {
                    free_.push_back(slot);
                }
            };
            std::size_t i = run.begin;
            for (; i < run.end && (next < due_.size() || !left_.empty()); ++i) {
                if (!left_.empty() && left_[i] <= 0.0) continue;
                const FiringKey own(run_.view.trigger[i], shorts_, columns_.index[i], -1);
                while (next < due_.size() && due_[next] < own) list_returned();
                listed_.push_back(Crossed::of_rank(i));
            }
            list_run(i, run.end);
            while (next < due_.size()) list_returned();
            return listed_wave();
        }

        VenueBook& book_;
        const VenueColumns& columns_;
        bool shorts_;
        SortedSide run_;
        std::vector<double> left_;          // of each position of the run, once winners have been closed
        std::vector<Holding> kept_;         // those taken out of the run, by slot
        std::vector<std::int32_t> free_;    // slots of which nothing is left
        FiringQueue returned_;              // which of those kept are back in the book
        bool reduced_ = false;              // whether any of these was closed as a winner
        std::vector<FiringKey> returning_;  // when the wave at hand is over
        std::vector<FiringKey> due_;        // of those returned, in the wave at hand
        std::vector<Crossed> listed_;       // of the wave at hand
        std::vector<double> closing_;       // of each of them, where positions wait
        std::deque<Waiting> waiting_;
        std::vector<Released> released_;    // of those that wait
        // Positions [0, swept_) of the run were sold as they are, and some later ones; others were closed one by one.
        std::size_t swept_ = 0;
        double swept_quantity_ = 0.0, swept_notional_ = 0.0;
    };

    VenueBook(const VenueData& venue, const BookView& book, const VenueColumns& long_columns,
              const VenueColumns& short_columns, Pulse& watch)
        : pulse(watch),
          longs(*this, book.longs, long_columns, false),
          shorts(*this, book.shorts, short_columns, true),
          ledger(venue),
          venue_(venue) {}
    VenueBook(const VenueBook&) = delete;

    Pulse& pulse;
    Side longs, shorts;
    Ledger ledger;
    std::vector<Candidate> winners;  // of the event at hand
    std::vector<double> taken;       // from each
    PositionLedger* positions = nullptr;

    const VenueData& venue() const { return venue_; }
    // A step of a path begins: so much may be closed in it.
    void begin_step(double now, double seconds, const Trading& trading) {
        trading_ = &trading;
        scale_ = trading.scale;
        now_ = now;
        budget_ = venue_.pacing < math::infinity ? venue_.pacing * seconds : math::infinity;
    }
    // The stop orders closed, of both sides.
    Amount stops() const {
        const Amount &sold = longs.tally.stops, &bought = shorts.tally.stops;
        return {sold.count + bought.count, sold.quantity + bought.quantity, sold.notional + bought.notional};
    }
    bool waiting() const { return !longs.waiting_.empty() || !shorts.waiting_.empty(); }

private:
    // Longs ask first: both sides' crossed positions join the queue, and what may be closed now leaves it. Stop orders have
    // their place in the line, but nothing holds them.
    VenueWave release(Side& asking, double mark_factor, double start) {
        if (asking.shorts()) return shorts.listed_wave();
        for (Side* side : {&longs, &shorts}) {
            side->cross(mark_factor, start);
            side->released_.clear();
            for (const Crossed& crossed : side->listed_) {
                const std::int32_t slot = crossed.in_run() ? side->keep(side->out_of_run(crossed.rank())) : crossed.at;
                Holding& one = side->kept(slot);
                one.order = close_size(venue_, side->shorts_, one, scale_ * (start / mark_factor), scale_);
                one.turn = turns_++ & (~std::uint64_t{0} >> 2);
                if (one.stop) {
                    side->released_.push_back({slot, one.order});
                } else {
                    side->waiting_.push_back({slot, now_ + venue_.delay});
                }
            }
        }
        const double relative = math::exp(-trading_->displacement);
        const bool open[] = {relative >= 1.0 - venue_.price_band, relative <= 1.0 + venue_.price_band};
        for (;;) {
            Side* next = nullptr;
            for (Side* side : {&longs, &shorts}) {
                if (side->waiting_.empty() || !open[side->shorts()] || side->waiting_.front().due > now_ * (1.0 + 1e-12)) continue;
                const auto turn = [](const Side& of) { return of.turn(of.waiting_.front().slot); };
                if (!next || turn(*side) < turn(*next)) next = side;
            }
            if (!next || !(budget_ > 0.0)) break;
            const std::int32_t slot = next->waiting_.front().slot;
            next->waiting_.pop_front();
            const double closing = std::min(next->kept(slot).order, budget_);
            budget_ -= closing;
            next->released_.push_back({slot, closing});
        }
        for (Side* side : {&longs, &shorts}) {
            if (side->columns_.stop) side->line_up();
            side->list_released();
        }
        return longs.listed_wave();
    }

    const VenueData& venue_;
    const Trading* trading_ = nullptr;
    double scale_ = 1.0;  // of the prices of both sides
    double now_ = 0.0;
    double budget_ = math::infinity;  // quantity that may still be closed in this step
    std::uint64_t turns_ = 0;
};

}  // namespace flushpoint
