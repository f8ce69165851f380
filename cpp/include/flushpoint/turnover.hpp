// Positions that open and close of themselves while a path runs. A side is then a threshold heap: the sorted run of the
// book, and an overlay of the positions opened since.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/cascade.hpp"
#include "flushpoint/laws.hpp"

namespace flushpoint {

// New positions open at the price of their time, at random times, with a leverage drawn from a mix; every position, of
// the book or new, closes of itself at a constant rate, outside the market.
struct Turnover {
    double opening_rate;  // a second; each opens a long, a short, or one of each
    double closing_rate;  // a second and position
    bool sides[2];        // longs, shorts
    Law quantity;
    std::vector<double> share;     // of each leverage, added up; the last is 1
    std::vector<double> ratio[2];  // trigger / entry price of each leverage; longs, shorts
};

class LivingSide {
    struct Position {
        double trigger;
        double quantity;
        double closes_at;
    };

    bool crossed(double trigger, double mark_factor, double start) const {
        return shorts_ ? short_crossed(trigger, mark_factor, start) : long_crossed(trigger, mark_factor, start);
    }
    // Orders the heap: the position that fires first is on top; of those opened alike the largest, so that sums do not
    // depend on how a heap is kept.
    auto later() const {
        return [shorts = shorts_](const Position& a, const Position& b) {
            if (a.trigger == b.trigger) return a.quantity < b.quantity;
            return shorts ? a.trigger > b.trigger : a.trigger < b.trigger;
        };
    }
    // Drops those that have closed of themselves, and makes room for as many as are left.
    void tidy() {
        std::erase_if(opened_, [this](const Position& one) { return one.closes_at <= now; });
        std::make_heap(opened_.begin(), opened_.end(), later());
        opened_.reserve(std::max<std::size_t>(16, 2 * opened_.size()));
    }

public:
    // `held`: of how many positions, with those that can never trigger.
    LivingSide(const SideView& view, std::size_t held, bool shorts, double closing_rate)
        : run_{view, shorts}, held_(view.quantity_sum[held]), shorts_(shorts), closing_rate_(closing_rate) {}

    void open(double trigger, double quantity, double closes_at) {
        if (opened_.size() == opened_.capacity()) tidy();
        opened_.push_back({trigger, quantity, closes_at});
        std::push_heap(opened_.begin(), opened_.end(), later());
    }

    // Closes what the crossing test finds crossed and has not closed of itself by `now`, in seconds.
    Closed take(double mark_factor, double start) {
        Closed wave;
        const auto close = [&](double quantity, double trigger) {
            wave.count += 1;
            wave.quantity += quantity;
            notional_ += quantity * trigger;
        };
        const Range run = run_.take(mark_factor, start);
        const double alive = math::exp(-closing_rate_ * now);
        for (std::size_t i = run.begin; i < run.end; ++i) {
            if (random::uniform(*generator) <= alive) close(run_.view.quantity[i], run_.view.trigger[i]);
        }
        while (!opened_.empty() && crossed(opened_.front().trigger, mark_factor, start)) {
            const Position& first = opened_.front();
            if (first.closes_at > now) close(first.quantity, first.trigger);
            std::pop_heap(opened_.begin(), opened_.end(), later());
            opened_.pop_back();
        }
        closed_.count += wave.count;
        closed_.quantity += wave.quantity;
        return wave;
    }

    double quantity() const { return closed_.quantity; }
    double quantity(const Closed& wave) const { return wave.quantity; }
    std::int64_t count() const { return closed_.count; }
    double notional() const { return notional_; }
    // Of those opened, what is still open; of the book, whose positions' closes are drawn when they are crossed, the mean.
    double open_quantity(double seconds) const {
        double sum = math::exp(-closing_rate_ * seconds) * (held_ - run_.quantity());
        for (const Position& one : opened_) sum += one.closes_at > seconds ? one.quantity : 0.0;
        return sum;
    }
    // The nearest trigger of those still open: 0 or inf where there is none.
    double next_trigger() const {
        const double run = run_.next_trigger();
        if (opened_.empty()) return run;
        const double first = opened_.front().trigger;
        return shorts_ ? std::min(run, first) : std::max(run, first);
    }

    double now = 0.0;
    random::Generator<std::uint64_t>* generator = nullptr;

private:
    SortedSide run_;
    double held_;
    bool shorts_;
    double closing_rate_;
    std::vector<Position> opened_;
    Closed closed_;
    double notional_ = 0.0;
};

}  // namespace flushpoint
