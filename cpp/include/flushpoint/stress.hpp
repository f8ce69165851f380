// Stress: many one-shot scenarios, each a cascade from rest.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>

#include "flushpoint/cascade.hpp"
#include "flushpoint/parallel.hpp"

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

    void write(std::size_t i, const CascadeTotals& t) const {
        final_price[i] = t.final_price;
        low_price[i] = t.low_price;
        high_price[i] = t.high_price;
        amplification[i] = t.amplification;
        exhausted[i] = t.exhausted;
        waves[i] = t.waves;
        long_count[i] = static_cast<std::int64_t>(t.longs_closed);
        short_count[i] = static_cast<std::int64_t>(t.shorts_closed);
    }
};

// Called now and then by the calling thread with the number of scenarios done; throws to stop the work.
using Progress = std::function<void(std::size_t)>;

// Keeps a run of scenarios stoppable: asked along the way, it calls `progress` at most every 20 ms from the thread that
// made it, and where that throws, ends the work of the other threads too.
class Pulse {
public:
    explicit Pulse(const Progress& progress) : progress_(progress) {}

    bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
    // Counts work, in units of some 10 ns.
    void spent(std::size_t work) {
        if (std::this_thread::get_id() != caller_ || (work_ += work) < 10'000) return;
        work_ = 0;
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < std::chrono::milliseconds(20)) return;
        try {
            progress_(done_.load(std::memory_order_relaxed));
        } catch (...) {
            stopped_.store(true, std::memory_order_relaxed);
            throw;
        }
        last_ = std::chrono::steady_clock::now();
    }
    void finished(std::size_t scenarios) { done_.fetch_add(scenarios, std::memory_order_relaxed); }

private:
    const Progress& progress_;
    const std::thread::id caller_ = std::this_thread::get_id();
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();  // the caller's alone, as work_ is
    std::size_t work_ = 0;
    std::atomic<bool> stopped_{false};
    std::atomic<std::size_t> done_{0};
};

// Calls task(i, pulse) for each scenario; task(i, pulse) is to tell the pulse of long work.
template <class Task>
void for_each_scenario(std::size_t count, int threads, const Progress& progress, Task&& task) {
    constexpr std::size_t block = 8;  // a cache line of each column, which threads then do not share
    Pulse pulse(progress);
    parallel_for((count + block - 1) / block, threads, {}, [&](std::size_t b) {
        const std::size_t begin = b * block, end = begin + block < count ? begin + block : count;
        for (std::size_t i = begin; i < end && !pulse.stopped(); ++i) {
            task(i, pulse);
            pulse.spent(20);
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

// Shortfall and surplus; bankruptcy prices in firing order.
void stress_money(const BookView& book, const double* long_bankruptcy, const double* short_bankruptcy,
                  const MarketData& market, const Scenarios& scenarios, double* shortfall, double* surplus, int threads,
                  const Progress& progress);

}  // namespace flushpoint
