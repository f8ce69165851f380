// Accounts over several markets, made from integer arithmetic alone.
#pragma once

#include <cstdint>
#include <vector>

#include "flushpoint/account_paths.hpp"
#include "generator.hpp"

namespace tests {

// Random accounts in three markets with no positions of their own.
struct World {
    static constexpr std::size_t markets = 3;

    double impact[markets] = {2e-4, 1e-4, 5e-5};
    double cross[markets * markets] = {0.0, 2e-5, 0.0, 1e-5, 0.0, 0.0, 0.0, 3e-5, 0.0};
    double floor[3] = {0.0, 500.0, 2000.0}, rate[3] = {0.004, 0.01, 0.05}, deduction[3] = {0.0, 3.0, 83.0};
    double none[1] = {0.0};
    double factor[2] = {0.0, 0.012}, own[2] = {0.0, 0.006};
    double loadings[2 * markets] = {1.0, 0.0, 1.3, 1.0, 0.6, -0.5}, offset[markets] = {0.0, 0.0001, 0.0};
    std::vector<flushpoint::TierView> tiers = std::vector<flushpoint::TierView>(markets, flushpoint::TierView{floor, rate, deduction, 3});
    std::vector<std::int64_t> first{0};
    std::vector<std::int32_t> market;
    std::vector<double> quantity, cost, money;
    std::vector<double> threshold, target, floor_of_equity, cash, illiquid, loan;
    flushpoint::AccountJob job{};

    World(const World&) = delete;  // the job points into it
    World(std::uint64_t seed, std::size_t count, flushpoint::AccountClose close) {
        const double price[markets] = {100.0, 20.0, 5.0};
        Generator random(seed);
        for (std::size_t a = 0; a < count; ++a) {
            double gross = 0.0, paid = 0.0;
            for (std::size_t m = 0; m < markets; ++m) {
                if (random.below(4) == 0) continue;
                const bool is_short = close < flushpoint::AccountClose::delever && random.below(3) == 0;
                const double notional = random.between(50.0, 3000.0) * (is_short ? -1.0 : 1.0);
                market.push_back(static_cast<std::int32_t>(m));
                quantity.push_back(notional / price[m]);
                cost.push_back(notional * random.between(0.98, 1.02));
                gross += flushpoint::size_of(notional);
                paid += cost.back();
            }
            first.push_back(static_cast<std::int64_t>(market.size()));
            money.push_back(gross * random.between(0.08, 0.5) - paid);
            threshold.push_back(random.between(0.05, 0.3));
            target.push_back(threshold.back() * random.between(1.0, 1.3));
            floor_of_equity.push_back(0.5 * threshold.back());
            cash.push_back(random.between(0.0, 100.0));
            illiquid.push_back(random.between(0.0, 1000.0));
            loan.push_back(random.below(2) == 0 ? flushpoint::math::infinity : 500.0);
        }
        const flushpoint::SideView empty{none, none, none, none, 0};
        for (std::size_t m = 0; m < markets; ++m) {
            const flushpoint::MarketData data{price[m], 0.0, 0.001, 1.0, {flushpoint::ImpactKind::linear, impact + m, 1}};
            job.markets.books.push_back({data, {{empty, empty}, {}, {}}, nullptr, nullptr});
        }
        job.markets.cross_impact = cross;
        job.accounts = {first.data(), market.data(), quantity.data(), cost.data(), money.data(), nullptr, count,
                        tiers.data(), close, 1.1,
                        {threshold.data(), target.data(), floor_of_equity.data(), cash.data(), illiquid.data(), loan.data()},
                        {0.5, 0.95, 0.05, 100.0, 0.8}};
        job.venue.fund = 100.0;
        job.groups = 1;
    }

    // Through 100 steps of two factors.
    flushpoint::AccountPathJob paths(double half_life) const {
        flushpoint::AccountPathJob out;
        out.accounts = job;
        for (const double* parameters : {factor, own}) {
            out.model.drivers.push_back({flushpoint::ProcessKind::gbm, parameters, nullptr, false, 0});
        }
        out.model.loadings = loadings;
        out.model.offset = offset;
        out.model.markets = markets;
        out.randomness = {17, false};
        out.step = 60.0;
        out.half_life = {half_life, flushpoint::math::infinity, half_life};
        out.steps = 100;
        return out;
    }
};

}  // namespace tests
