// How the exogenous log price moves in time. Paths advance side by side, one in each lane, by blocks of steps; path i
// uses random numbers of (seed, i) only, whatever its lane and neighbours.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flushpoint/random.hpp"

namespace flushpoint {

enum class ProcessKind : int { gbm = 0, jumps = 1, student_t = 2, garch = 3, bootstrap = 4, returns = 5, bridge = 6 };

// Parameters of one step's log return r, with z standard normal:
//   gbm        mean, deviation: r = mean + deviation z
//   jumps      mean, deviation, rate, jump_mean, jump_deviation: and a Poisson number, `rate` on average, of normal jumps
//   student_t  mean, scale, degrees: r = mean + scale t
//   garch      mean, omega, alpha, beta, variance: r = mean + s z; the next s^2 is omega + alpha (s z)^2 + beta s^2
//   bootstrap  mean, block: r = mean + one of the given returns, `block` in a row, from a random place, round the end
//   returns    none: path i takes row i of the given returns
//   bridge     deviation, mean: normal noise that is 0 again at given steps, on top of given returns. Of the two rows given,
//              the first holds those returns, the second how many steps are left until then, each step's own included;
//              after the last of them, r = mean + deviation z
struct ProcessData {
    ProcessKind kind;
    const double* parameters;
    const void* returns;  // of one row (bootstrap), two (bridge), or one row a path
    bool single;          // float rather than double
    std::size_t columns;  // of a row
};

struct Randomness {
    std::uint64_t seed;
    bool antithetic;  // paths 2k and 2k + 1 share their numbers, with opposite signs

    // Which path's numbers a path uses.
    std::uint64_t numbers(std::uint64_t path) const { return antithetic ? path / 2 : path; }
};

inline constexpr int walk_lanes = 8;
inline constexpr int block_steps = 32;

// The state of `walk_lanes` paths, and their last block of steps.
struct alignas(64) Walk {
    std::uint64_t generator[4][walk_lanes];        // the words of a xoshiro256++ in each lane
    double log_price[walk_lanes];                  // after the last step
    double sign[walk_lanes];                       // of the random numbers
    double variance[walk_lanes];                   // GARCH: of the next step
    double path[block_steps][walk_lanes];          // returns, then log prices, of the steps of the block
    double low[walk_lanes];                        // extremes of the block's log prices
    double high[walk_lanes];
};

// What the walk's steps are made of besides the vector generators; one lane each.
struct LaneSource {
    random::Generator<std::uint64_t> generator;  // jumps or blocks
    double until_jump;                           // steps
    std::size_t at, left;                        // the next return; bootstrap: how many remain of the block
    double strayed;                              // bridge: how far the noise is from 0
    const void* row;                             // returns
};

class Process {
public:
    // `driver` tells several independent processes of one path apart.
    Process(const ProcessData& data, Randomness randomness, std::uint32_t driver = 0)
        : data_(data), randomness_(randomness), driver_(driver) {}

    // Puts paths first, first + 1, ... (`count` of them, at most `walk_lanes`) at the start.
    void start(std::uint64_t first, int count, double log_price, Walk& walk);
    // Draws the returns of `steps`, in walk.path, and goes nowhere.
    void draw(Walk& walk, int steps);
    // Advances all lanes by `steps`: block_steps, or fewer in the last block. `moves`, if given, are added to each path's
    // returns.
    void advance(Walk& walk, int steps, const double* moves);

private:
    random::Generator<std::uint64_t> generator(std::uint64_t numbers, random::Stream stream) const;
    void add_jumps(Walk& walk, int steps);
    void resample(Walk& walk, int steps);
    void tie_down(Walk& walk, int steps);
    void copy_returns(Walk& walk, int steps);

    ProcessData data_;
    Randomness randomness_;
    std::uint32_t driver_;
    LaneSource source_[walk_lanes];
};

}  // namespace flushpoint
