// Paths in time: the exogenous price moves step by step, and cascades follow where it meets a book.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "flushpoint/book.hpp"
#include "flushpoint/funding.hpp"
#include "flushpoint/living_depth.hpp"
#include "flushpoint/market.hpp"
#include "flushpoint/process.hpp"
#include "flushpoint/pulse.hpp"
#include "flushpoint/random_book.hpp"
#include "flushpoint/targeting.hpp"
#include "flushpoint/turnover.hpp"
#include "flushpoint/venue_run.hpp"

namespace flushpoint {

struct Clock {
    double step;       // seconds
    double half_life;  // seconds, of the recovering volume; inf for never
    std::int64_t steps;
};

// What happens to every path: log moves of the exogenous price and sales of others, one a step; null for none.
struct Script {
    const double* moves;
    const double* sales;
};

// Where to write, one entry a path; any may be null. The ledger's but for proceeds need bankruptcy prices.
struct PathColumns {
    double* final_price;
    double* low_price;
    double* high_price;
    double* low_time;  // seconds
    std::int64_t* long_count;
    std::int64_t* short_count;
    double* long_quantity;
    double* short_quantity;
    double* long_open_quantity;  // with turnover: still open at the end, on average over what closes of itself
    double* short_open_quantity;
    double* long_notional;
    double* short_notional;
    std::int64_t* stop_count;  // of a venue's book, as the next two
    double* stop_quantity;
    double* stop_notional;
    std::int64_t* waves;
    bool* exhausted;
    bool* runaway;
    double* targeting_quantity;  // sold less bought by funds
    double* support_quantity;
    double* least_liquidity;
    LedgerColumns ledger;
};

// Prices after the steps `at`, which rise: prices[path * count + j]; and the liquidity and the spread that the next step
// meets, null where they are not wanted.
struct Recording {
    const std::int64_t* at;
    std::size_t count;
    double* prices;
    double* liquidity = nullptr;
    double* spread = nullptr;
};

struct PathWave {
    std::int64_t step;
    double price;  // that triggered it
    double quantity;
    std::int64_t count;
    double notional;
};

struct PathJob {
    VenueBookView positions;
    const VenueData* venue;  // null for none
    const Turnover* turnover;  // null for positions that neither open nor close of themselves
    const RandomBook* random;  // each path draws its own, instead of `positions`; null for none
    MarketData market;
    ProcessData process;
    Randomness randomness;
    Clock clock;
    Script script;
    bool bridge;  // of a GBM and a book of one side: watch the extremes between steps, too
    const Funding* funding = nullptr;  // null for none
    std::span<const VolatilityTargeting> targeting{};  // not with a bridge
    const LivingDepthData* depth = nullptr;  // not with a bridge; null for one that stays
};

// Paths first, first + 1, ..., first + count - 1; columns and recording begin with path `first`.
void simulate(const PathJob& job, std::uint64_t first, std::size_t count, const PathColumns& columns,
              const Recording& recording, int threads, const Progress& progress);

// One path again, with every wave of it.
std::vector<PathWave> replay(const PathJob& job, std::uint64_t path, const PathColumns& columns,
                             const Recording& recording, const Progress& progress);

}  // namespace flushpoint
