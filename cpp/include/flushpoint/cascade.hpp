// One cascade: waves of forced trades until nothing is crossed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/book.hpp"
#include "flushpoint/market.hpp"

namespace flushpoint {

struct Wave {
    double price;  // that triggered it
    double quantity;
    std::int64_t count;
    double notional;
};

struct CascadeTotals {
    double final_price;
    double low_price;
    double high_price;
    double amplification;
    bool exhausted;
    std::size_t longs_closed;
    std::size_t shorts_closed;
};

// What starts a cascade, and the depth it meets.
struct Scenario {
    double shock;
    double sell;
    double refill;
    double liquidity = 1.0;
};

// Where to write what each closed position fetched, in input order; bankruptcy prices in firing order. Any may be null.
struct PositionOutcome {
    const std::int32_t* long_index;
    const std::int32_t* short_index;
    const double* long_bankruptcy;
    const double* short_bankruptcy;
    double* proceeds;
    double* shortfall;  // written, as surplus is, only where bankruptcy prices are given
    double* surplus;
};

struct Money {
    double shortfall;
    double surplus;
};

// The whole cascade, in time that goes with the number of waves.
CascadeTotals cascade(const BookView& book, const MarketData& market, const Scenario& scenario, std::vector<Wave>& waves);

// The money that the closed positions' trades brought in, less what they paid: one integral a wave and side.
double cascade_proceeds(const BookView& book, const MarketData& market, const Scenario& scenario);

// Runs the cascade again, position by position.
Money cascade_positions(const BookView& book, const MarketData& market, const Scenario& scenario,
                        const PositionOutcome& out);

// How many positions of one side are crossed at a price when nothing has been traded.
std::size_t crossed(const SideView& side, bool shorts, double price);

inline namespace FLUSHPOINT_ARCH {

// Positions [begin, end) of one side, in firing order.
struct Range {
    std::size_t begin;
    std::size_t end;

    std::size_t size() const { return end - begin; }
    double sum(const double* running) const { return running[end] - running[begin]; }
};

// A wave as it happens: the longs are sold from `before`, the shorts bought back after them.
struct WaveRanges {
    State before;
    double price;
    Range longs;
    Range shorts;
};

// The end of the positions from `begin` on that are crossed: steps that double, then bisection. `crossed` holds for a
// position whenever it holds for a later one.
template <class Crossed>
inline std::size_t gallop(std::size_t begin, std::size_t count, Crossed&& crossed) {
    std::size_t step = 1, low = begin;
    while (low + step <= count && crossed(low + step - 1)) {
        low += step;
        step *= 2;
    }
    std::size_t high = std::min(count, low + step - 1);
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        if (crossed(middle)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The state machine: calls on_wave(WaveRanges) for each wave before it is traded.
template <class Impact, class OnWave>
inline CascadeTotals run_cascade(const BookView& book, const Market<Impact>& market, double price,
                                 const Scenario& scenario, OnWave&& on_wave) {
    const double start = price * (1.0 + scenario.shock);
    State state = State{0.0, 0.0}.after(scenario.sell);
    std::size_t longs = 0, shorts = 0;

    double displacement = market.displacement(state);
    const double log_start = math::log(start / price);
    const double first_move = log_start - displacement;
    double current = start * math::exp(-displacement);
    CascadeTotals totals{current, current, current, 1.0, displacement == math::infinity || displacement == -math::infinity,
                         0, 0};
    for (;;) {
        const double factor = market.mark_factor(displacement);
        const SideView &l = book.longs, &s = book.shorts;
        const WaveRanges wave{
            state, current,
            {longs, gallop(longs, l.count, [&](std::size_t i) { return long_crossed(l.trigger[i], factor, start); })},
            {shorts, gallop(shorts, s.count, [&](std::size_t i) { return short_crossed(s.trigger[i], factor, start); })}};
        if (wave.longs.size() + wave.shorts.size() == 0) break;
        on_wave(wave);
        longs = wave.longs.end;
        shorts = wave.shorts.end;

        // Sums since the start, not wave by wave: the state then carries no rounding from one wave to the next.
        const double closed = l.quantity_sum[longs] - s.quantity_sum[shorts];
        state.sold = scenario.sell + closed;
        state.recovering = scenario.refill == 0.0
                               ? state.sold
                               : state.recovering + wave.longs.sum(l.quantity_sum) - wave.shorts.sum(s.quantity_sum);
        const auto price_now = [&] {
            displacement = market.displacement(state);
            return start * math::exp(-displacement);
        };
        current = price_now();
        totals.low_price = std::min(totals.low_price, current);
        totals.high_price = std::max(totals.high_price, current);
        totals.exhausted |= displacement == math::infinity || displacement == -math::infinity;
        if (scenario.refill != 0.0) {
            state.recovering *= 1.0 - scenario.refill;
            current = price_now();
        }
    }
    totals.final_price = current;
    totals.longs_closed = longs;
    totals.shorts_closed = shorts;
    if (longs + shorts > 0) {
        totals.amplification = first_move == 0.0 ? math::not_a_number : (log_start - displacement) / first_move;
    }
    return totals;
}

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
