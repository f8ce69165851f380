// Stress: many one-shot scenarios, each a cascade from rest.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flushpoint/cascade.hpp"
#include "flushpoint/parallel.hpp"
#include "flushpoint/pulse.hpp"

namespace flushpoint {

// Numbers of scenarios: one for each, or one for all where step is 0.
struct ScenarioColumn {
    const double* values;
    std::size_t step;

    double operator[](std::size_t i) const { return values[i * step]; }
};

struct Scenarios {
    ScenarioColumn shock;
    ScenarioColumn sell;
    ScenarioColumn liquidity;
    double refill;
    std::size_t count;
    std::size_t first = 0;  // number of the first, which its random numbers go by

    Scenario operator[](std::size_t i) const { return {shock[i], sell[i], refill, liquidity[i]}; }
};

// Columns to be written, one entry a scenario.
struct StressColumns {
    double* final_price;
    double* low_price;
    double* high_price;
    double* amplification;
    bool* exhausted;
    std::int64_t* waves;
    std::int64_t* long_count;
    std::int64_t* short_count;
    double* support_quantity = nullptr;  // may be null

    void write(std::size_t i, const CascadeTotals& t) const {
        final_price[i] = t.final_price;
        low_price[i] = t.low_price;
        high_price[i] = t.high_price;
        amplification[i] = t.amplification;
        exhausted[i] = t.exhausted;
        waves[i] = t.waves;
        long_count[i] = static_cast<std::int64_t>(t.longs_closed);
        short_count[i] = static_cast<std::int64_t>(t.shorts_closed);
        if (support_quantity) support_quantity[i] = t.support_quantity;
    }
};

// Calls task(i, pulse) for each scenario; task(i, pulse) is to tell the pulse of long work.
template <class Task>
void for_each_scenario(std::size_t count, int threads, const Progress& progress, Task&& task) {
    constexpr std::size_t block = 8;  // a cache line of each column, which threads then do not share
    Pulse pulse(progress);
    parallel_for((count + block - 1) / block, threads, [&] { pulse.ask(); }, [&](std::size_t b) {
        const std::size_t begin = b * block, end = begin + block < count ? begin + block : count;
        try {
            for (std::size_t i = begin; i < end; ++i) {
                task(i, pulse);
                pulse.spent(20);
            }
        } catch (const Pulse::Stopped&) {
            return;  // the thread that stopped the work says why
        }
        pulse.finished(end - begin);
    });
    progress(count);
}

// Each scenario's cascade in one book.
void stress(const BookView& book, const MarketData& market, const Scenarios& scenarios, const StressColumns& out,
            int threads, const Progress& progress);

// What the closed positions' trades brought in, less what they paid.
void stress_proceeds(const BookView& book, const MarketData& market, const Scenarios& scenarios, double* proceeds,
                     int threads, const Progress& progress);

}  // namespace flushpoint
