// Accounts over several markets: thresholds that spare looking against looking at every account, and what closes.
#include <doctest/doctest.h>

#include <vector>

#include "flushpoint/account_paths.hpp"
#include "flushpoint/account_run.hpp"
#include "generator.hpp"

namespace fp = flushpoint;

namespace {

constexpr std::size_t markets = 3;

// Random accounts in markets with no positions of their own.
struct World {
    double impact[markets] = {2e-4, 1e-4, 5e-5};
    double cross[markets * markets] = {0.0, 2e-5, 0.0, 1e-5, 0.0, 0.0, 0.0, 3e-5, 0.0};
    double floor[3] = {0.0, 500.0, 2000.0}, rate[3] = {0.004, 0.01, 0.05}, deduction[3] = {0.0, 3.0, 83.0};
    double none[1] = {0.0};
    std::vector<fp::TierView> tiers = std::vector<fp::TierView>(markets, fp::TierView{floor, rate, deduction, 3});
    std::vector<std::int64_t> first{0};
    std::vector<std::int32_t> market;
    std::vector<double> quantity, cost, money;
    std::vector<double> threshold, target, floor_of_equity, cash, illiquid, loan;
    fp::AccountJob job{};

    World(std::uint64_t seed, std::size_t count, fp::AccountClose close) {
        const double price[markets] = {100.0, 20.0, 5.0};
        tests::Generator random(seed);
        for (std::size_t a = 0; a < count; ++a) {
            double gross = 0.0, paid = 0.0;
            for (std::size_t m = 0; m < markets; ++m) {
                if (random.below(4) == 0) continue;
                const bool is_short = close < fp::AccountClose::delever && random.below(3) == 0;
                const double notional = random.between(50.0, 3000.0) * (is_short ? -1.0 : 1.0);
                market.push_back(static_cast<std::int32_t>(m));
                quantity.push_back(notional / price[m]);
                cost.push_back(notional * random.between(0.98, 1.02));
                gross += fp::size_of(notional);
                paid += cost.back();
            }
            first.push_back(static_cast<std::int64_t>(market.size()));
            money.push_back(gross * random.between(0.08, 0.5) - paid);
            threshold.push_back(random.between(0.05, 0.3));
            target.push_back(threshold.back() * random.between(1.0, 1.3));
            floor_of_equity.push_back(0.5 * threshold.back());
            cash.push_back(random.between(0.0, 100.0));
            illiquid.push_back(random.between(0.0, 1000.0));
            loan.push_back(random.below(2) == 0 ? fp::math::infinity : 500.0);
        }
        const fp::SideView empty{none, none, none, none, 0};
        for (std::size_t m = 0; m < markets; ++m) {
            const fp::MarketData data{price[m], 0.0, 0.001, 1.0, {fp::ImpactKind::linear, impact + m, 1}};
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
};

// What some runs close in a walk of the exogenous prices, and where each cascade leaves the market prices.
struct Told {
    std::vector<double> displacement;
    std::vector<double> left, money;
    std::int64_t rounds = 0;

    bool operator==(const Told&) const = default;
};

Told walk(const World& world, double trust, std::uint64_t seed) {
    const fp::Thresholds thresholds(fp::Holdings(world.job.accounts), world.job.markets.prices(), {1.0, 0.7, 1.6}, trust, 2,
                                    [] {});
    fp::AccountRun run(world.job, thresholds);
    const fp::Progress progress = [](std::size_t) {};
    fp::Pulse pulse(progress);
    tests::Generator random(seed);
    Told told;
    for (fp::MarketRun& one : run.markets) one.start = one.book->market.price;
    for (int step = 0; step < 60; ++step) {
        for (fp::MarketRun& one : run.markets) one.start *= random.between(0.97, 1.028);
        run.update();
        run.cascade(0.0, pulse, [](const fp::AccountWave&) {});
        for (const fp::MarketRun& one : run.markets) told.displacement.push_back(one.trading.displacement);
    }
    for (std::size_t a = 0; a < world.job.accounts.count; ++a) {
        told.money.push_back(run.held().money(a));
        for (std::size_t p = world.job.accounts.begin(a); p < world.job.accounts.end(a); ++p) {
            told.left.push_back(run.held().left(a, p));
        }
    }
    told.rounds = run.rounds();
    return told;
}

}  // namespace

TEST_CASE("accounts that need no look would not have failed") {
    std::int64_t rounds = 0;
    for (const auto close : {fp::AccountClose::all, fp::AccountClose::largest_loss, fp::AccountClose::pro_rata,
                             fp::AccountClose::delever, fp::AccountClose::repay}) {
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            const World world(seed, 60, close);
            const Told spared = walk(world, 1.0, seed);
            CHECK(spared == walk(world, 0.0, seed));
            rounds += spared.rounds;
        }
    }
    CHECK(rounds > 100);
}

TEST_CASE("paths that spare looking equal those that look whenever a price moves, on any threads") {
    const double factor[] = {0.0, 0.012}, own[] = {0.0, 0.006};
    const double loadings[] = {1.0, 0.0, 1.3, 1.0, 0.6, -0.5}, offset[markets] = {0.0, 0.0001, 0.0};
    std::int64_t all_rounds = 0;
    for (const double half_life : {fp::math::infinity, 300.0}) {
        const World world(3, 200, fp::AccountClose::pro_rata);
        fp::AccountPathJob job;
        job.accounts = world.job;
        for (const double* parameters : {factor, own}) {
            job.model.drivers.push_back({fp::ProcessKind::gbm, parameters, nullptr, false, 0});
        }
        job.model.loadings = loadings;
        job.model.offset = offset;
        job.model.markets = markets;
        job.randomness = {17, false};
        job.step = 60.0;
        job.half_life = {half_life, fp::math::infinity, half_life};
        job.steps = 100;
        constexpr std::size_t paths = 21, cells = paths * markets;
        struct Columns {
            std::vector<double> numbers[4];
            std::vector<std::int64_t> rounds = std::vector<std::int64_t>(paths);
            bool exhausted[cells];
        };
        const auto run = [&](double trust, int threads) {
            Columns out;
            for (auto& column : out.numbers) column.resize(cells);
            fp::AccountColumns to{};
            to.final_price = out.numbers[0].data();
            to.low_price = out.numbers[1].data();
            to.high_price = out.numbers[2].data();
            to.low_time = out.numbers[3].data();
            to.exhausted = out.exhausted;
            to.rounds = out.rounds.data();
            job.trust = trust;
            fp::simulate(job, 5, paths, to, threads, [](std::size_t) {});
            return out;
        };
        const Columns spared = run(1.0, 1);
        for (const Columns& other : {run(0.0, 1), run(1.0, 3)}) {
            for (int c = 0; c < 4; ++c) CHECK(spared.numbers[c] == other.numbers[c]);
            CHECK(spared.rounds == other.rounds);
        }
        for (const std::int64_t rounds : spared.rounds) all_rounds += rounds;
    }
    CHECK(all_rounds > 100);
}

TEST_CASE("a run that begins again is as new") {
    const World world(7, 40, fp::AccountClose::pro_rata);
    const fp::Thresholds thresholds(fp::Holdings(world.job.accounts), world.job.markets.prices(), {1.0, 1.0, 1.0}, 1.0, 1,
                                    [] {});
    fp::AccountRun run(world.job, thresholds);
    const fp::Progress progress = [](std::size_t) {};
    fp::Pulse pulse(progress);
    std::vector<double> found[2];
    for (auto& displacements : found) {
        run.begin();
        for (fp::MarketRun& one : run.markets) one.start = 0.8 * one.book->market.price;
        run.update();
        run.cascade(0.0, pulse, [](const fp::AccountWave&) {});
        CHECK(run.rounds() > 1);
        for (const fp::MarketRun& one : run.markets) displacements.push_back(one.trading.displacement);
    }
    CHECK(found[0] == found[1]);
}

TEST_CASE("the share that is kept meets the target, in whichever tier it ends") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const World world(seed, 20, fp::AccountClose::pro_rata);
        const fp::Holdings held(world.job.accounts);
        const double marks[markets] = {84.0, 16.0, 4.4};
        for (std::size_t a = 0; a < 20; ++a) {
            const double worth = fp::equity(held, a, marks);
            if (!fp::standing(held, a, marks).fails() || worth <= 0.0) continue;
            const double share = fp::share_to_keep(held, a, marks, worth);
            double maintenance = 0.0;
            for (std::size_t p = held.view().begin(a); p < held.view().end(a); ++p) {
                const double notional = share * fp::size_of(held.quantity(a, p)) * marks[held.view().market[p]];
                const std::size_t k = fp::tier_of(world.tiers[0], notional);
                maintenance += world.rate[k] * notional - world.deduction[k];
            }
            CHECK(worth == doctest::Approx(1.1 * maintenance).epsilon(1e-12));
        }
    }
}
