// Accounts over several markets: thresholds that spare looking against looking at every account, and what closes.
#include <doctest/doctest.h>

#include <vector>

#include "accounts.hpp"
#include "flushpoint/account_paths.hpp"

namespace fp = flushpoint;
using tests::World;

namespace {

constexpr std::size_t markets = World::markets;

// What some runs close in a walk of the exogenous prices, and where each cascade leaves the market prices.
struct Told {
    std::vector<double> displacement;
    std::vector<double> left, money;
    std::int64_t rounds = 0, adl_count = 0;

    bool operator==(const Told&) const = default;
};

template <class Run>
Told walk(const World& world, double trust, std::uint64_t seed) {
    const fp::Thresholds thresholds(fp::Holdings(world.job.accounts), world.job.markets.prices(), {1.0, 0.7, 1.6}, trust, 2,
                                    [] {});
    Run run(world.job, thresholds);
    const fp::Progress progress = [](std::size_t) {};
    fp::Pulse pulse(progress);
    run.begin(pulse);
    tests::Generator random(seed);
    Told told;
    for (auto& one : run.markets) one.start = one.book->market.price;
    for (int step = 0; step < 60; ++step) {
        for (auto& one : run.markets) one.start *= random.between(0.97, 1.028);
        run.update();
        run.cascade(0.0, pulse, [](const fp::AccountWave&) {});
        for (const auto& one : run.markets) told.displacement.push_back(one.trading.displacement);
    }
    for (std::size_t a = 0; a < world.job.accounts.count; ++a) {
        told.money.push_back(run.held().money(a));
        for (std::size_t p = world.job.accounts.begin(a); p < world.job.accounts.end(a); ++p) {
            told.left.push_back(run.held().left(a, p));
        }
    }
    told.rounds = run.rounds();
    for (const auto& one : run.markets) told.adl_count += one.adl_count;
    return told;
}

}  // namespace

TEST_CASE("accounts that need no look would not have failed") {
    std::int64_t rounds = 0;
    for (const auto close : {fp::AccountClose::all, fp::AccountClose::largest_loss, fp::AccountClose::pro_rata,
                             fp::AccountClose::delever, fp::AccountClose::repay}) {
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            const World world(seed, 60, close);
            const Told spared = walk<fp::AccountRun<fp::SoldWhole>>(world, 1.0, seed);
            CHECK(spared == walk<fp::AccountRun<fp::SoldWhole>>(world, 0.0, seed));
            rounds += spared.rounds;
        }
    }
    CHECK(rounds > 100);
}

TEST_CASE("accounts that need no look would not have failed where positions of winners are closed") {
    std::int64_t adl_count = 0;
    for (const auto close : {fp::AccountClose::all, fp::AccountClose::largest_loss, fp::AccountClose::pro_rata}) {
        for (const auto rule : {fp::AdlRule::queue, fp::AdlRule::queue_margin_ratio, fp::AdlRule::pro_rata}) {
            for (std::uint64_t seed = 0; seed < 10; ++seed) {
                World world(seed, 60, close);
                world.job.venue.adl = rule;
                world.job.venue.fund = 0.0;
                const Told spared = walk<fp::AccountRun<fp::ClosedAgainstWinners>>(world, 1.0, seed);
                CHECK(spared == walk<fp::AccountRun<fp::ClosedAgainstWinners>>(world, 0.0, seed));
                adl_count += spared.adl_count;
            }
        }
    }
    CHECK(adl_count > 100);
}

TEST_CASE("paths that spare looking equal those that look whenever a price moves, on any threads") {
    std::int64_t all_rounds = 0;
    for (const double half_life : {fp::math::infinity, 300.0}) {
        const World world(3, 200, fp::AccountClose::pro_rata);
        fp::AccountPathJob job = world.paths(half_life);
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
    fp::AccountRun<fp::SoldWhole> run(world.job, thresholds);
    const fp::Progress progress = [](std::size_t) {};
    fp::Pulse pulse(progress);
    std::vector<double> found[2];
    for (auto& displacements : found) {
        run.begin(pulse);
        for (auto& one : run.markets) one.start = 0.8 * one.book->market.price;
        run.update();
        run.cascade(0.0, pulse, [](const fp::AccountWave&) {});
        CHECK(run.rounds() > 1);
        for (const auto& one : run.markets) displacements.push_back(one.trading.displacement);
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
                maintenance += (world.rate[k] + 2.0 * fp::tie) * notional - world.deduction[k];
            }
            CHECK(worth == doctest::Approx(1.1 * maintenance).epsilon(1e-12));
        }
    }
}
