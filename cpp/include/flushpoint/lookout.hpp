// Which accounts may fail: each hangs on prices up to which it certainly does not, so that all others need no look.
//
// An account's slack falls at most by |q| (1 - lowest rate) for a unit that the mark of a long's market falls, and by |q|
// (1 + highest rate) for one that a short's rises, whatever the tiers in between. So it lasts while no mark has moved
// against the account by more than the slack's part of it. Where one has, the account is looked at, and hung anew.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/accounts.hpp"

namespace flushpoint {

// Where an account has to be looked at; not any more once it has been hung anew.
struct Threshold {
    double price;
    std::int32_t account;
    std::int32_t turn;
};

// The thresholds of each market for a mark that falls and one that rises, the nearest first.
struct Thresholds {
    std::vector<std::vector<Threshold>> falls, rises;
    std::vector<double> weight;  // of each market: how far its price goes compared with others'
    double trust;                // what part of the slack to rely on: 0 looks whenever a price moves against the account

    // From the start, at these marks.
    Thresholds(const Holdings& held, const std::vector<double>& mark, std::vector<double> weight, double trust, int threads,
               const Poll& poll);
};

// Calls hang(market, whether at a rise, price) for each threshold of an account that stands so at these marks.
template <class Hang>
inline void reach(const Holdings& held, std::size_t a, const double* mark, const Standing& now, const Thresholds& by,
                  Hang&& hang) {
    const AccountsView& view = held.view();
    const auto way = [&](std::size_t p) {
        const auto m = static_cast<std::size_t>(view.market[p]);
        return by.weight[m] * mark[m];
    };
    double most = 0.0;
    for (std::size_t p = view.begin(a); p < view.end(a); ++p) most += loss_of_a_unit(view, a, p, held.quantity(a, p)) * way(p);
    // Far above the rounding of slack and the tie of the test.
    const double safe = now.slack - (1e-9 * now.gross + 1e-12 * size_of(held.money(a)));
    const double part = safe > 0.0 && most > 0.0 && most < math::infinity ? by.trust * (safe / most) : 0.0;
    const bool always = now.fails();  // wherever prices go
    for (std::size_t p = view.begin(a); p < view.end(a); ++p) {
        const double q = held.quantity(a, p), price = mark[view.market[p]];
        if (q > 0.0) hang(view.market[p], false, always ? math::infinity : price - part * way(p));
        if (q < 0.0) hang(view.market[p], true, always ? 0.0 : price + part * way(p));
    }
}

// The accounts of one path or scenario.
class Lookout {
public:
    Lookout(const AccountsView& view, const Thresholds& thresholds)
        : start_(&thresholds),
          falls_(thresholds.falls.size()),
          rises_(thresholds.rises.size()),
          turn_(view.count, 0) {}

    // The nearest prices of a market at which something has to be looked at: 0 or inf where there is none.
    double next_fall(std::size_t m) const { return falls_[m].next(start_->falls[m], 0.0, false); }
    double next_rise(std::size_t m) const { return rises_[m].next(start_->rises[m], math::infinity, true); }

    // Writes those to be looked at, in order, each once; they hang nowhere then.
    void due(const double* mark, std::vector<std::int32_t>& accounts) {
        accounts.clear();
        const auto take = [&](const Threshold& t) {
            if (turn_[static_cast<std::size_t>(t.account)] != t.turn) return;
            accounts.push_back(t.account);
            turned(static_cast<std::size_t>(t.account));
        };
        for (std::size_t m = 0; m < falls_.size(); ++m) {
            falls_[m].take(start_->falls[m], false, [&](double price) { return mark[m] <= price; }, take);
            rises_[m].take(start_->rises[m], true, [&](double price) { return mark[m] >= price; }, take);
        }
        std::sort(accounts.begin(), accounts.end());
    }
    void hang(const Holdings& held, std::size_t a, const double* mark, const Standing& now) {
        reach(held, a, mark, now, *start_, [&](std::int32_t market, bool rises, double price) {
            const auto m = static_cast<std::size_t>(market);
            (rises ? rises_ : falls_)[m].push({price, static_cast<std::int32_t>(a), turn_[a]}, rises);
        });
    }
    // What an account hangs on no longer holds.
    void forget(std::size_t a) { turned(a); }
    void reset() {
        for (auto* side : {&falls_, &rises_}) {
            for (Queue& queue : *side) {
                queue.taken = 0;
                queue.heap.clear();
            }
        }
        for (const std::size_t a : turned_) turn_[a] = 0;
        turned_.clear();
    }

private:
    // Thresholds of one market and direction: those from the start in their order, and a heap of later ones.
    struct Queue {
        std::size_t taken = 0;
        std::vector<Threshold> heap;

        static bool later(const Threshold& a, const Threshold& b, bool rises) {
            return rises ? a.price > b.price : a.price < b.price;
        }
        double next(const std::vector<Threshold>& start, double none, bool rises) const {
            const double first = taken < start.size() ? start[taken].price : none;
            const double other = heap.empty() ? none : heap.front().price;
            return rises ? std::min(first, other) : std::max(first, other);
        }
        void push(const Threshold& t, bool rises) {
            heap.push_back(t);
            std::push_heap(heap.begin(), heap.end(), [=](auto& a, auto& b) { return later(a, b, rises); });
        }
        template <class Reached, class Take>
        void take(const std::vector<Threshold>& start, bool rises, Reached&& reached, Take&& take_one) {
            for (; taken < start.size() && reached(start[taken].price); ++taken) take_one(start[taken]);
            while (!heap.empty() && reached(heap.front().price)) {
                std::pop_heap(heap.begin(), heap.end(), [=](auto& a, auto& b) { return later(a, b, rises); });
                take_one(heap.back());
                heap.pop_back();
            }
        }
    };

    void turned(std::size_t a) {
        turned_.push_back(a);
        ++turn_[a];
    }

    const Thresholds* start_;
    std::vector<Queue> falls_, rises_;
    std::vector<std::int32_t> turn_;
    std::vector<std::size_t> turned_;
};

}  // namespace flushpoint
