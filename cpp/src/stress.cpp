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

}  // namespace flushpoint
