#include "flushpoint/random_book.hpp"

#include "flushpoint/random_side.hpp"

namespace flushpoint {

using random::Stream;

void stress(const RandomBook& book, const MarketData& data, const Scenarios& scenarios, const RandomColumns& out,
            int threads, const Progress& progress) {
    with_market(data, 1.0, [&](const auto& whole) {
        for_each_scenario(scenarios.count, threads, progress, [&](std::size_t i, Pulse& pulse) {
            const auto market = whole.with_liquidity(scenarios.liquidity[i]);
            Draws draws(book, scenarios.first + i, pulse);
            RandomSide longs(book, false, data.price, draws), shorts(book, true, data.price, draws);
            CascadeTotals totals = run_cascade(longs, shorts, market, data.price, scenarios[i],
                                               [&](double, const Trading&, Closed, Closed) { pulse.spent(50); });
            totals.longs_closed = static_cast<std::size_t>(longs.count());
            totals.shorts_closed = static_cast<std::size_t>(shorts.count());
            out.common.write(i, totals);
            out.long_quantity[i] = longs.quantity();
            out.short_quantity[i] = shorts.quantity();
            out.runaway[i] = draws.runaway;
        });
    });
}

void stress_sums(const RandomBook& book, const MarketData& data, const Scenarios& scenarios, const RandomSums& out,
                 int threads, const Progress& progress) {
    with_market(data, 1.0, [&](const auto& whole) {
        for_each_scenario(scenarios.count, threads, progress, [&](std::size_t i, Pulse& pulse) {
            const auto market = whole.with_liquidity(scenarios.liquidity[i]);
            Draws draws(book, scenarios.first + i, pulse);
            auto details = random::generator(book.seed, scenarios.first + i, Stream::details);
            if (out.long_notional) draws.details = &details;
            RandomSide longs(book, false, data.price, draws), shorts(book, true, data.price, draws);
            double proceeds = 0.0;
            run_cascade(longs, shorts, market, data.price, scenarios[i],
                        [&](double start, const Trading& before, Closed sold, Closed bought) {
                            pulse.spent(50);
                            if (!out.proceeds) return;
                            proceeds += wave_proceeds(market, start, before.state, sold.quantity, bought.quantity);
                        });
            if (out.proceeds) out.proceeds[i] = proceeds;
            if (out.long_notional) {
                out.long_notional[i] = longs.notional();
                out.short_notional[i] = shorts.notional();
            }
        });
    });
}

void stress_uncovered(const RandomBook& book, const MarketData& data, const Scenarios& scenarios, Uncovered* out_longs,
                      Uncovered* out_shorts, int threads, const Progress& progress) {
    with_market(data, 1.0, [&](const auto& whole) {
        for_each_scenario(scenarios.count, threads, progress, [&](std::size_t i, Pulse& pulse) {
            const auto market = whole.with_liquidity(scenarios.liquidity[i]);
            Draws draws(book, scenarios.first + i, pulse);
            RandomSide longs(book, false, data.price, draws), shorts(book, true, data.price, draws);
            run_cascade(longs, shorts, market, data.price, scenarios[i],
                        [&](double, const Trading&, Closed, Closed) { pulse.spent(50); });
            out_longs[i] = longs.uncovered();
            out_shorts[i] = shorts.uncovered();
        });
    });
}

}  // namespace flushpoint
