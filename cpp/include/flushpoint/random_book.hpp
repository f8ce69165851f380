// Books drawn anew in every scenario, of which only what closes is ever drawn.
//
// A wave uncovers an interval of distances. How many positions stand in it follows a Poisson law, or a binomial law of
// those not uncovered before; their sizes are independent of where in it they stand. So a wave draws a number and a total
// size, and its cost does not go with the book. Where each of them stood is drawn only for sums that need it, from a
// stream of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/laws.hpp"
#include "flushpoint/stress.hpp"

namespace flushpoint {

// Positions of one side whose distances |log(trigger / price)| and quantities follow laws: `count` of them or, where
// `count` is negative, a Poisson number with `density` per unit of distance up to `extent`.
struct RandomPositions {
    bool shorts;
    double count;
    double density;
    double extent;
    Law distance;
    Law quantity;
};

struct RandomBook {
    std::vector<RandomPositions> positions;
    std::uint64_t seed;
    double most_closed;  // a scenario ends there
};

struct RandomColumns {
    StressColumns common;
    double* long_quantity;
    double* short_quantity;
    bool* runaway;
};

// Sums over what closes that can be asked for later; either both notionals or the proceeds may be null.
struct RandomSums {
    double* proceeds;
    double* long_notional;
    double* short_notional;
};

// What one side of a scenario's book turned out to be, as far as it was looked at: `count` positions stand up to the
// distance `from`. Where the scenario is a runaway, more than were left to close stand between there and `to`, elsewhere
// `to` is `from`.
struct Uncovered {
    double count, from, to;
};

void stress(const RandomBook& book, const MarketData& market, const Scenarios& scenarios, const RandomColumns& out,
            int threads, const Progress& progress);

// Runs the same scenarios again.
void stress_sums(const RandomBook& book, const MarketData& market, const Scenarios& scenarios, const RandomSums& out,
                 int threads, const Progress& progress);

// Runs the same scenarios again, for what was uncovered of their longs and shorts.
void stress_uncovered(const RandomBook& book, const MarketData& market, const Scenarios& scenarios, Uncovered* longs,
                      Uncovered* shorts, int threads, const Progress& progress);

}  // namespace flushpoint
