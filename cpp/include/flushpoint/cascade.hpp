// One cascade: waves of forced trades until nothing is crossed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
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
    std::int64_t waves;
    std::size_t longs_closed = 0;
    std::size_t shorts_closed = 0;
    double support_quantity = 0.0;
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

inline namespace FLUSHPOINT_ARCH {
struct Money;
}

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

struct Amounts {
    double quantity, notional;
};
// What closed in [begin, end). Sums of few terms term by term, which keeps a small wave exact beside large running sums.
inline constexpr std::size_t few_terms = 64;
inline Amounts amounts_of(const SideView& side, Range range) {
    if (range.size() > few_terms) return {range.sum(side.quantity_sum), range.sum(side.notional_sum)};
    Amounts sum{0.0, 0.0};
    for (std::size_t i = range.begin; i < range.end; ++i) {
        sum.quantity += side.quantity[i];
        sum.notional += side.quantity[i] * side.trigger[i];
    }
    return sum;
}

// A wave of a side whose positions have no ranks: how many closed, and how much.
struct Closed {
    std::int64_t count = 0;
    double quantity = 0.0;

    std::int64_t size() const { return count; }
};

// The end of the positions from `begin` on that are crossed, looked for from a guess: steps that double away from it,
// then bisection. `crossed` holds for a position whenever it holds for a later one.
template <class Crossed>
inline std::size_t gallop(std::size_t begin, std::size_t count, std::size_t guess, Crossed&& crossed) {
    std::size_t low = begin, high = count, step = 1;
    if (guess > count) guess = count;
    if (guess > begin && !crossed(guess - 1)) {
        high = guess - 1;
        while (high > begin) {
            const std::size_t probe = high - begin > step ? high - step : begin;
            if (crossed(probe)) {
                low = probe + 1;
                break;
            }
            high = probe;
            step *= 2;
        }
    } else {
        low = std::max(begin, guess);
        while (low < count) {
            const std::size_t probe = count - low > step ? low + step - 1 : count - 1;
            if (!crossed(probe)) {
                high = probe;
                break;
            }
            low = probe + 1;
            step *= 2;
        }
    }
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

// One side of a book that a cascade works through: positions [0, closed) are closed.
struct SortedSide {
    const SideView& view;
    bool shorts;
    std::size_t closed = 0;
    double sum = 0.0;      // of the quantities closed: the running sums lie far away
    double density = 0.0;  // positions a unit of price in the last wave: where the next one may end

    // Closes what the crossing test finds crossed.
    Range take(double mark_factor, double start) {
        const double factor = shorts ? -mark_factor : mark_factor;
        const double least = shorts ? signed_start(-1.0, start) : signed_start(1.0, start);
        if (closed == view.count || !crosses(view.trigger[closed], factor, least)) return {closed, closed};
        return close(mark_factor, start, factor, least);
    }
    // The same where the first position is crossed, which on one side it mostly is not.
    Range close(double mark_factor, double start, double factor, double least) {
        const std::size_t begin = closed;
        const auto crossed = [&](std::size_t i) { return crosses(view.trigger[i], factor, least); };
        const double distance = density == 0.0 ? 0.0 : view.trigger[begin] - start / mark_factor;
        const double ahead = density * (shorts ? -distance : distance), rest = static_cast<double>(view.count - begin);
        const auto guess = static_cast<std::size_t>(ahead > 0.0 ? (ahead < rest ? ahead : rest) : 0.0);
        __builtin_prefetch(view.quantity_sum + begin + 1 + guess);  // wanted next, and as far away as the triggers
        close_to(gallop(begin + 1, view.count, begin + 1 + guess, crossed));
        if (closed - begin >= 8) {
            const double width = view.trigger[begin] - view.trigger[closed - 1];
            density = static_cast<double>(closed - begin) / (shorts ? -width : width);
            if (!(density < math::infinity)) density = 0.0;
        }
        return {begin, closed};
    }
    void close_to(std::size_t end) { close_to(end, view.quantity_sum[end]); }
    void close_to(std::size_t end, double quantity) {
        closed = end;
        sum = quantity;
    }
    // The quantity closed since the book was whole, and that of one wave.
    double quantity() const { return sum; }
    double quantity(Range wave) const { return wave.sum(view.quantity_sum); }
    double closed_quantity() const { return quantity(); }
    double notional() const { return view.notional_sum[closed]; }
    std::int64_t count() const { return static_cast<std::int64_t>(closed); }
    std::size_t crossed() const { return closed; }
    // The nearest trigger of those still open: 0 or inf where there is none.
    double next_trigger() const {
        return closed < view.count ? view.trigger[closed] : shorts ? math::infinity : 0.0;
    }
};

// Where trading has brought a market. `outside` was sold by others than the sides' positions.
struct Trading {
    double outside = 0.0;
    State state{0.0, 0.0};
    double displacement = 0.0;
    double highest = 0.0;  // displacement so far
    double lowest = 0.0;
    std::int64_t waves = 0;
    double scale = 1.0;  // what has become of trigger and bankruptcy prices: see funding.hpp

    template <class Impact>
    void update(const Market<Impact>& market) {
        displacement = market.displacement(state);
    }
    // Sold (bought, if negative) by others than the sides' positions.
    void sell_outside(double quantity) {
        outside += quantity;
        state = state.after(quantity);
    }
    // What the support buys now. Kept out of the loop of waves, into which then all else fits.
    template <class Impact>
    [[gnu::noinline]] double support(Support& buyers, const Market<Impact>& market) {
        const double quantity = buyers.buy(market, state);
        if (quantity > 0.0) {
            sell_outside(-quantity);
            update(market);
        }
        return quantity;
    }
    // A wave has been traded: the sides have now closed so much in all, longs less shorts.
    template <class Impact>
    void close(double closed, double recovering, const Market<Impact>& market) {
        ++waves;
        state = {outside + closed, recovering};
        update(market);
        highest = displacement > highest ? displacement : highest;
        lowest = displacement < lowest ? displacement : lowest;
    }
};

// The state machine: waves from the start price until nothing is crossed. Calls on_wave(longs' wave, shorts' wave) for
// each before it is traded: the longs are sold from trading.state, the shorts bought back after them. What is traded is
// what the sides say then. Before each test the support, if any, buys.
template <class Impact, class Longs, class Shorts, class OnWave>
inline void run_waves(Longs& longs, Shorts& shorts, const Market<Impact>& market, double start, double refill,
                      Support* support, Trading& trading, OnWave&& on_wave) {
    State& state = trading.state;
    // Sums since the start, not wave by wave: the state then carries no rounding from one wave to the next.
    double recovered = state.recovering - (longs.quantity() - shorts.quantity());
    for (;;) {
        if (support) [[unlikely]] recovered -= trading.support(*support, market);
        const double factor = trading.scale * market.mark_factor(trading.displacement);
        auto sold = longs.take(factor, start);
        auto bought = shorts.take(factor, start);
        if (sold.size() + bought.size() == 0) return;
        on_wave(sold, bought);
        const double closed = longs.quantity() - shorts.quantity();
        const double recovering =
            refill == 0.0 ? recovered + closed : state.recovering + longs.quantity(sold) - shorts.quantity(bought);
        trading.close(closed, recovering, market);
        if (refill != 0.0) {
            state.recovering *= 1.0 - refill;
            trading.update(market);
        }
    }
}

// A wave of both sides, told.
inline Wave wave_of(const BookView& book, double start, const Trading& before, Range sold, Range bought) {
    const Amounts longs = amounts_of(book.longs, sold), shorts = amounts_of(book.shorts, bought);
    return {start * math::exp(-before.displacement), longs.quantity + shorts.quantity,
            static_cast<std::int64_t>(sold.size() + bought.size()), longs.notional + shorts.notional};
}

// What a wave's trades bring in, less what they cost: the longs are sold first.
template <class Impact>
inline double wave_proceeds(const Market<Impact>& market, double start, State before, double sold, double bought) {
    return math::added(market.proceeds(start, before, sold), market.proceeds(start, before.after(sold), -bought));
}

// The same position by position, in firing order: calls on_position(side is short, i, signed quantity, proceeds).
template <class Impact, class OnPosition>
inline void wave_positions(const Market<Impact>& market, double start, State before, const SortedSide& longs,
                           Range sold, const SortedSide& shorts, Range bought, OnPosition&& on_position) {
    const auto side = [&](const SideView& view, Range range, double sign, State from) {
        for (std::size_t i = range.begin; i < range.end; ++i) {
            const double traded = sign * (view.quantity_sum[i] - view.quantity_sum[range.begin]);
            const double quantity = sign * view.quantity[i];
            on_position(sign < 0.0, i, quantity, market.proceeds(start, from.after(traded), quantity));
        }
    };
    side(longs.view, sold, 1.0, before);
    side(shorts.view, bought, -1.0, before.after(longs.quantity(sold)));
}

// How far the proceeds of positions fall short of, or exceed, quantity x bankruptcy price.
struct Money {
    double shortfall = 0.0;
    double surplus = 0.0;

    static Money of(double quantity, double bankruptcy, double proceeds) {
        const double gain = math::added(proceeds, -quantity * bankruptcy);
        return {gain < 0.0 ? -gain : 0.0, gain > 0.0 ? gain : 0.0};
    }
    void add(Money other) {
        shortfall += other.shortfall;
        surplus += other.surplus;
    }
};

// Of a number or a vector of them.
template <class D>
inline auto infinite(D displacement) {
    return (displacement == math::infinity) | (displacement == -math::infinity);
}

// What came of a market whose first move, by shock and sale alone, was this one in log price.
inline CascadeTotals totals_of(const Trading& trading, double start, double log_start, double first_move) {
    CascadeTotals totals{start * math::exp(-trading.displacement),
                         start * math::exp(-trading.highest),
                         start * math::exp(-trading.lowest),
                         1.0,
                         infinite(trading.highest) || infinite(trading.lowest),
                         trading.waves};
    const double move = log_start - trading.displacement;
    if (trading.waves > 0 || move != first_move) {
        totals.amplification = first_move == 0.0 ? math::not_a_number : move / first_move;
    }
    return totals;
}

// A scenario from rest, and what came of it.
template <class Impact, class Longs, class Shorts, class OnWave>
inline CascadeTotals run_cascade(Longs& longs, Shorts& shorts, const Market<Impact>& market, double price,
                                 const Scenario& scenario, OnWave&& on_wave) {
    const double start = price * (1.0 + scenario.shock);
    Trading trading{scenario.sell, State{0.0, 0.0}.after(scenario.sell)};
    trading.update(market);
    trading.highest = trading.lowest = trading.displacement;
    const double log_start = math::log(start / price);
    const double first_move = log_start - trading.displacement;
    std::optional<Support> buyers;
    Support* support = nullptr;
    if (market.support) [[unlikely]] {
        support = &buyers.emplace(*market.support);
        support->set_start(math::log(start));
    }
    run_waves(longs, shorts, market, start, scenario.refill, support, trading,
              [&](auto& sold, auto& bought) { on_wave(start, trading, sold, bought); });
    CascadeTotals totals = totals_of(trading, start, log_start, first_move);
    if (support) totals.support_quantity = support->bought();
    return totals;
}

// The same for a whole book.
template <class Impact, class OnWave>
inline CascadeTotals run_cascade(const BookView& book, const Market<Impact>& market, double price,
                                 const Scenario& scenario, OnWave&& on_wave) {
    SortedSide longs{book.longs, false}, shorts{book.shorts, true};
    CascadeTotals totals = run_cascade(longs, shorts, market, price, scenario, on_wave);
    totals.longs_closed = longs.closed;
    totals.shorts_closed = shorts.closed;
    return totals;
}

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
