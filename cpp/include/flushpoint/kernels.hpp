// The loops that are compiled once per instruction set, and the choice among them. All give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flushpoint/market.hpp"
#include "flushpoint/process.hpp"
#include "flushpoint/random.hpp"
#include "flushpoint/response.hpp"
#include "flushpoint/visits.hpp"

namespace flushpoint {

// Tiers of maintenance valued at the mark, each as if it held everywhere: there the notional is (t - offset) * high for the
// side that has the highest of all tiers', (t - offset) * low for the other; see margin.cpp. The first has no offset.
struct TierLines {
    const double* offset;
    const double* high;
    const double* low;
    std::size_t count;
    bool inverse;  // shorts, not longs, have the highest
};

// Positions in them; `fee` is what the collateral owes besides.
struct TierColumns {
    const std::int8_t* side;
    const double* quantity;
    const double* entry_price;
    const double* margin;
    const double* other_pnl;
    const double* other_maintenance;
    const double* fee;
};

// Trades of one side in a market of linear impact, from the states that they leave to each other.
struct Trades {
    static constexpr std::size_t most = 32;
    std::size_t count = 0;
    alignas(64) double sold[most], recovering[most];  // before each
    alignas(64) double quantity[most], money[most];   // signed by the side
};
struct LinearMarket {
    double coefficient;
    double permanent;
    double spread;
    double liquidity;
};

struct Kernels {
    const char* name;
    // For positions begin to end: keys[i], the start price, as a key, from which position i closes once those before
    // it have, and price_factors[i], final price / start price while it has not.
    void (*shock_columns)(const SideView& side, const MarketData& market, bool shorts, std::size_t begin,
                          std::size_t end, double* keys, double* price_factors);
    void (*answer_shocks)(const StepsView& longs, const StepsView& shorts, double price, const Questions& questions,
                          const Answers& answers);
    // Fill walk.path with the log returns of `steps` steps; see process.hpp for the parameters.
    void (*normal_returns)(Walk& walk, int steps, double mean, double deviation);
    void (*student_returns)(Walk& walk, int steps, double mean, double scale, double degrees);
    void (*garch_returns)(Walk& walk, int steps, const double* parameters);
    // Turns the returns into log prices and finds their extremes.
    void (*accumulate)(Walk& walk, int steps);
    // The sum of share[i] * P(a standard normal < (x - offset[i]) / spread) over `count`, a multiple of four.
    double (*normal_mixture)(const double* share, const double* offset, std::size_t count, double x, double spread);
    // Log-normal numbers, median * exp(sigma * a standard normal), eight at a time.
    void (*log_normals)(random::Generator<random::Word4>& lanes, double median, double sigma, double* out,
                        std::size_t count);
    // The first of the numbers from `from` to `count`, at most `block_steps`, that is not between `lower` and `upper`; `count`
    // where all are.
    int (*first_outside)(const double* numbers, int from, int count, double lower, double upper);
    // Begin those visits that are to, and tell whether some do not, since both sides may be crossed.
    bool (*begin_visits)(Visits& visits, const MarketData& market);
    // Finds the ends of what is crossed.
    void (*search_ends)(Visits& visits);
    // Trades that, and ends visits in which nothing is.
    void (*close_waves)(Visits& visits, const MarketData& market);
    // Liquidation prices of `count` positions, a multiple of 16, not limited to positive ones. Tells whether all their
    // numbers are plainly good: finite, and of the sign they must have.
    bool (*tier_prices)(const TierLines& tiers, const TierColumns& in, std::size_t count, double* out);
    // The money of each trade, as Market::proceeds has it.
    void (*linear_proceeds)(const LinearMarket& market, double start, Trades& trades);
};

// Those this processor can run, the plainest first.
struct KernelList {
    const Kernels* const* items;
    std::size_t count;
};
KernelList available_kernels();

// The last of them, or the one that the environment variable FLUSHPOINT_ISA names; throws std::invalid_argument where
// it names none of them.
const Kernels& kernels();

}  // namespace flushpoint
