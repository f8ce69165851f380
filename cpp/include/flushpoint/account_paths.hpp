// Paths of several markets in time, and the cascades that they set off among accounts.
#pragma once

#include <cstdint>
#include <vector>

#include "flushpoint/account_run.hpp"
#include "flushpoint/factor_walk.hpp"

namespace flushpoint {

struct AccountPathJob {
    AccountJob accounts;
    FactorModel model;
    Randomness randomness;
    double step;                    // seconds
    std::vector<double> half_life;  // seconds, of each market
    std::int64_t steps;
    double trust = 1.0;  // see Thresholds
};

// Paths first, first + 1, ..., first + count - 1; columns begin with path `first`.
void simulate(const AccountPathJob& job, std::uint64_t first, std::size_t count, const AccountColumns& columns,
              int threads, const Progress& progress);

}  // namespace flushpoint
