#include "flushpoint/stress.hpp"

namespace flushpoint {

void stress(const BookView& book, const MarketData& data, const Scenarios& scenarios, const StressColumns& out,
            int threads, const Progress& progress) {
    with_market(data, 1.0, [&](const auto& whole) {
        for_each_scenario(scenarios.count, threads, progress, [&](std::size_t i, Pulse& pulse) {
            const auto market = whole.with_liquidity(scenarios.liquidity[i]);
            out.write(i, run_cascade(book, market, data.price, scenarios[i],
                                     [&](double, const Trading&, Range, Range) { pulse.spent(10); }));
        });
    });
}

void stress_proceeds(const BookView& book, const MarketData& data, const Scenarios& scenarios, double* proceeds,
                     int threads, const Progress& progress) {
    for_each_scenario(scenarios.count, threads, progress, [&](std::size_t i, Pulse& pulse) {
        proceeds[i] = cascade_proceeds(book, data, scenarios[i]);
        pulse.spent(100);
    });
}

void stress_money(const BookView& book, const double* long_bankruptcy, const double* short_bankruptcy,
                  const MarketData& data, const Scenarios& scenarios, double* shortfall, double* surplus, int threads,
                  const Progress& progress) {
    const PositionOutcome positions{nullptr, nullptr, long_bankruptcy, short_bankruptcy, nullptr, nullptr, nullptr};
    for_each_scenario(scenarios.count, threads, progress, [&](std::size_t i, Pulse& pulse) {
        const Money money = cascade_positions(book, data, scenarios[i], positions);
        shortfall[i] = money.shortfall;
        surplus[i] = money.surplus;
        pulse.spent(10'000);
    });
}

}  // namespace flushpoint
