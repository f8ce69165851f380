// How the exogenous log prices of several markets move together: each step's log return of market m is offset[m] + the sum
// over drivers k of loading[m, k] y_k, with independent processes y_k.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/kernels.hpp"
#include "flushpoint/process.hpp"

namespace flushpoint {

struct FactorModel {
    std::vector<ProcessData> drivers;
    const double* loadings;  // [market * drivers + driver]
    const double* offset;    // of each market, a step
    std::size_t markets;
};

// Up to `walk_lanes` paths; path i uses random numbers of (seed, i, driver) only.
class FactorWalk {
public:
    FactorWalk(const FactorModel& model, Randomness randomness)
        : model_(&model), drivers_(model.drivers.size()), markets_(model.markets) {
        for (std::size_t k = 0; k < model.drivers.size(); ++k) {
            processes_.emplace_back(model.drivers[k], randomness, static_cast<std::uint32_t>(k));
        }
    }

    void start(std::uint64_t first, int count, const std::vector<double>& log_price) {
        for (std::size_t k = 0; k < drivers_.size(); ++k) processes_[k].start(first, count, 0.0, drivers_[k]);
        for (std::size_t m = 0; m < markets_.size(); ++m) {
            for (double& at : markets_[m].log_price) at = log_price[m];
        }
    }
    // By `steps`: block_steps, or fewer in the last block.
    void advance(int steps) {
        for (std::size_t k = 0; k < drivers_.size(); ++k) processes_[k].draw(drivers_[k], steps);
        for (std::size_t m = 0; m < markets_.size(); ++m) {
            combine(m, steps);
            kernels().accumulate(markets_[m], steps);
        }
    }
    const Walk& market(std::size_t m) const { return markets_[m]; }

private:
    void combine(std::size_t m, int steps) {
        double* to = markets_[m].path[0];
        const int count = steps * walk_lanes;
        const double offset = model_->offset[m];
        bool any = false;
        for (std::size_t k = 0; k < drivers_.size(); ++k) {
            const double loading = model_->loadings[m * drivers_.size() + k];
            const double* from = drivers_[k].path[0];
            if (loading == 0.0) continue;
            if (any) {
                for (int i = 0; i < count; ++i) to[i] += loading * from[i];
            } else {
                for (int i = 0; i < count; ++i) to[i] = loading * from[i];
            }
            any = true;
        }
        for (int i = 0; i < count && !any; ++i) to[i] = 0.0;
        for (int i = 0; i < count && offset != 0.0; ++i) to[i] += offset;
    }

    const FactorModel* model_;
    std::vector<Process> processes_;
    std::vector<Walk> drivers_, markets_;
};

}  // namespace flushpoint
