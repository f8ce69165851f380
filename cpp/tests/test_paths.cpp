// Paths worked by hand, the edges of blocks and lanes, and one path again.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "books.hpp"
#include "flushpoint/paths.hpp"
#include "flushpoint/process.hpp"
#include "generator.hpp"
#include "impacts.hpp"

namespace fp = flushpoint;
using doctest::Approx;

namespace {

constexpr double inf = fp::math::infinity;

Approx near(double x) { return Approx(x).epsilon(1e-13); }

// Everything that paths tell, and all their prices.
struct Outcome {
    std::vector<double> final_price, low, high, low_time, proceeds, shortfall, surplus, prices;
    std::vector<std::int64_t> longs, shorts, waves, at;
    std::unique_ptr<bool[]> exhausted;

    Outcome(std::size_t n, std::int64_t steps)
        : final_price(n), low(n), high(n), low_time(n), proceeds(n), shortfall(n), surplus(n),
          prices(n * static_cast<std::size_t>(steps + 1)), longs(n), shorts(n), waves(n), exhausted(new bool[n]) {
        for (std::int64_t step = 0; step <= steps; ++step) at.push_back(step);
    }
    fp::PathColumns columns() {
        fp::PathColumns out{};
        out.final_price = final_price.data();
        out.low_price = low.data();
        out.high_price = high.data();
        out.low_time = low_time.data();
        out.long_count = longs.data();
        out.short_count = shorts.data();
        out.waves = waves.data();
        out.exhausted = exhausted.get();
        out.ledger.proceeds = proceeds.data();
        out.ledger.shortfall = shortfall.data();
        out.ledger.surplus = surplus.data();
        return out;
    }
    fp::Recording recording() { return {at.data(), at.size(), prices.data()}; }
};

Outcome simulate(const fp::PathJob& job, std::uint64_t first, std::size_t count, int threads = 1) {
    Outcome out(count, job.clock.steps);
    std::size_t last = 0;
    fp::simulate(job, first, count, out.columns(), out.recording(), threads, [&](std::size_t done) { last = done; });
    CHECK(last == count);
    return out;
}

fp::PathJob job_of(const tests::SortedBook& book, const fp::MarketData& market, const fp::ProcessData& process,
                   fp::Clock clock) {
    return {book.venue_view(), nullptr, nullptr, nullptr, market, process, {7, false}, clock, {nullptr, nullptr}, false};
}

fp::ProcessData rows(const std::vector<double>& returns, std::size_t columns) {
    return {fp::ProcessKind::returns, nullptr, returns.data(), false, columns};
}

}  // namespace

TEST_CASE("a path by hand") {
    // ln price 0. It falls to -0.1: both longs go in one wave, 0.1 each: -0.3. A step, one half-life, later half of that is
    // back: -0.2. Then f = +0.1: 0.1 - 0.05 = 0.05, the short is bought back: V = 0.5 - 1 = -0.5, ln price 0.1 + 0.05.
    tests::Positions in;
    in.add(+1, 1.0, std::exp(-0.1), 1.0);
    in.add(+1, 1.0, std::exp(-0.05), 0.5);
    in.add(-1, 1.0, std::exp(0.04), 1.0);
    const tests::SortedBook book(in);
    const tests::Impact impact = tests::linear(0.1);
    const std::vector<double> returns{-0.1, 0.0, 0.2};
    const fp::PathJob job = job_of(book, impact.market(1.0), rows(returns, 3), {60.0, 60.0, 3});
    Outcome out = simulate(job, 0, 1);
    const double expected[] = {0.0, -0.3, -0.2, 0.15};
    for (std::size_t i = 0; i < 4; ++i) CHECK(std::log(out.prices[i]) == near(expected[i]));
    CHECK(std::log(out.low[0]) == near(-0.3));
    CHECK(out.low_time[0] == 60.0);
    CHECK(std::log(out.high[0]) == near(0.15));
    CHECK(out.longs[0] == 2);
    CHECK(out.shorts[0] == 1);
    CHECK(out.waves[0] == 2);
    CHECK(!out.exhausted[0]);
    // A sale of 1 from ln price x fetches exp(x) (1 - exp(-0.1)) / 0.1; the purchase starts at 0.05 and ends at 0.15.
    const double unit = (1.0 - std::exp(-0.1)) / 0.1;
    const double first = std::exp(-0.1) * unit, second = std::exp(-0.2) * unit, third = std::exp(0.15) * unit;
    CHECK(out.proceeds[0] == near(first + second - third));
    CHECK(out.shortfall[0] == near((1.0 - second) + (third - 1.0)));
    CHECK(out.surplus[0] == near(first - 0.5));

    Outcome again(1, 3);
    const std::vector<fp::PathWave> waves = fp::replay(job, 0, again.columns(), again.recording(), [](std::size_t) {});
    REQUIRE(waves.size() == 2);
    CHECK(waves[0].step == 1);
    CHECK(std::log(waves[0].price) == near(-0.1));
    CHECK(waves[0].quantity == 2.0);
    CHECK(waves[0].notional == near(std::exp(-0.1) + std::exp(-0.05)));
    CHECK(waves[1].step == 3);
    CHECK(std::log(waves[1].price) == near(0.05));
    CHECK(waves[1].count == 1);
    CHECK(again.prices == out.prices);
}

TEST_CASE("one fall, at any step of any lane") {
    tests::Positions in;
    in.add(+1, 1.0, 90.0);
    const tests::SortedBook book(in);
    const tests::Impact impact = tests::linear(0.05);
    for (const std::size_t steps : {1, 31, 32, 33, 64, 65}) {
        CAPTURE(steps);
        std::vector<double> returns(steps * steps, 0.0);
        for (std::size_t i = 0; i < steps; ++i) returns[i * steps + i] = std::log(0.9);
        const Outcome out = simulate(job_of(book, impact.market(100.0), rows(returns, steps),
                                            {1.0, inf, static_cast<std::int64_t>(steps)}),
                                     0, steps, 2);
        for (std::size_t i = 0; i < steps; ++i) {
            CHECK(out.longs[i] == 1);
            CHECK(out.low_time[i] == static_cast<double>(i + 1));
            CHECK(out.prices[i * (steps + 1) + i] == near(100.0));
            CHECK(out.prices[i * (steps + 1) + i + 1] == near(90.0 * std::exp(-0.05)));
            CHECK(out.final_price[i] == out.prices[(i + 1) * (steps + 1) - 1]);
        }
    }
}

TEST_CASE("the same path in any lane, shard and thread, and again") {
    tests::Generator random(3);
    const tests::SortedBook book(tests::random_positions(random, 200, 100.0, 0.2, 100.0));
    const double normal[] = {0.0, 0.01}, garch[] = {0.0, 1e-5, 0.2, 0.7, 1e-4};
    const fp::ProcessData processes[] = {{fp::ProcessKind::gbm, normal, nullptr, false, 0},
                                         {fp::ProcessKind::garch, garch, nullptr, false, 0}};
    for (const tests::Impact& impact : tests::one_of_each()) {
        for (const fp::ProcessData& process : processes) {
            CAPTURE(impact.name);
            const fp::PathJob job = job_of(book, impact.market(100.0, 1e-4, 0.001, 0.7), process, {60.0, 300.0, 75});
            const Outcome whole = simulate(job, 0, 21);
            const std::size_t columns = 76;
            for (const std::uint64_t first : {0, 1, 7, 8, 13}) {
                const std::size_t count = 21 - first;
                const Outcome part = simulate(job, first, count, 3);
                bool same = true;
                for (std::size_t i = 0; i < count; ++i) {
                    same = same && part.final_price[i] == whole.final_price[first + i] &&
                           part.low[i] == whole.low[first + i] && part.high[i] == whole.high[first + i] &&
                           part.low_time[i] == whole.low_time[first + i] && part.waves[i] == whole.waves[first + i] &&
                           part.proceeds[i] == whole.proceeds[first + i] &&
                           part.shortfall[i] == whole.shortfall[first + i];
                    for (std::size_t s = 0; s < columns; ++s) {
                        same = same && part.prices[i * columns + s] == whole.prices[(first + i) * columns + s];
                    }
                }
                CHECK(same);
            }
            std::int64_t waves = 0;
            for (std::uint64_t path = 0; path < 21; ++path) {
                Outcome again(1, 75);
                const auto told = fp::replay(job, path, again.columns(), again.recording(), [](std::size_t) {});
                CHECK(again.final_price[0] == whole.final_price[path]);
                CHECK(again.surplus[0] == whole.surplus[path]);
                CHECK(static_cast<std::int64_t>(told.size()) == whole.waves[path]);
                waves += whole.waves[path];
            }
            CHECK(waves > 21);
        }
    }
}

TEST_CASE("paths whose cascades run side by side, and alone") {
    tests::Generator random(4);
    const tests::SortedBook book(tests::random_positions(random, 3'000, 100.0, 0.2, 100.0));
    const double normal[] = {0.0, 0.01};
    const fp::ProcessData process{fp::ProcessKind::gbm, normal, nullptr, false, 0};
    constexpr std::size_t count = 517, few = 47;  // few run alone
    std::vector<double> moves(75, 0.0), sales(75, 0.0);
    moves[20] = -0.05;
    sales[40] = 2.0;
    for (const tests::Impact& impact : tests::one_of_each()) {
        for (const bool plain : {true, false}) {
            CAPTURE(impact.name);
            CAPTURE(plain);
            fp::PathJob job = job_of(book, plain ? impact.market(100.0) : impact.market(100.0, 1e-4, 0.001, 0.7), process,
                                     {60.0, plain ? inf : 300.0, 75});
            if (!plain) job.script = {moves.data(), sales.data()};
            const auto run = [&](std::uint64_t first, std::size_t paths, int threads) {
                Outcome out(paths, 0);
                fp::PathColumns columns = out.columns();
                if (plain) columns.ledger = {};  // waves are not told then
                fp::simulate(job, first, paths, columns, {nullptr, 0, nullptr}, threads, [](std::size_t) {});
                return out;
            };
            const Outcome together = run(0, count, plain ? 1 : 3);
            std::int64_t waves = 0;
            for (std::size_t first = 0; first < count; first += few) {
                const std::size_t paths = std::min(few, count - first);
                const Outcome alone = run(first, paths, 1);
                bool same = true;
                for (std::size_t i = 0; i < paths; ++i) {
                    const std::size_t k = first + i;
                    same = same && alone.final_price[i] == together.final_price[k] && alone.low[i] == together.low[k] &&
                           alone.high[i] == together.high[k] && alone.low_time[i] == together.low_time[k] &&
                           alone.longs[i] == together.longs[k] && alone.shorts[i] == together.shorts[k] &&
                           alone.waves[i] == together.waves[k] && alone.exhausted[i] == together.exhausted[k] &&
                           alone.proceeds[i] == together.proceeds[k] && alone.shortfall[i] == together.shortfall[k] &&
                           alone.surplus[i] == together.surplus[k];
                    waves += alone.waves[i];
                }
                CHECK(same);
            }
            CHECK(waves > 10 * static_cast<std::int64_t>(count));
        }
    }
}

TEST_CASE("a bridge is made of the normals of a geometric Brownian motion, bit for bit") {
    // Over 45 steps, then over 20, then free for 35.
    constexpr std::size_t bridged = 65;
    constexpr int steps = 100;
    constexpr double deviation = 0.013, mean = -1e-4;
    std::vector<double> course(2 * bridged);
    for (std::size_t i = 0; i < bridged; ++i) {
        course[i] = i < 45 ? -0.002 : 0.003;
        course[bridged + i] = static_cast<double>((i < 45 ? 45 : bridged) - i);
    }
    const double standard[] = {0.0, 1.0}, rest[] = {deviation, mean};
    for (const bool antithetic : {false, true}) {
        fp::Process plain({fp::ProcessKind::gbm, standard, nullptr, false, 0}, {7, antithetic}, 2);
        fp::Process bridge({fp::ProcessKind::bridge, rest, course.data(), false, bridged}, {7, antithetic}, 2);
        fp::Walk normals, walk;
        plain.start(11, fp::walk_lanes, 0.0, normals);
        bridge.start(11, fp::walk_lanes, 0.0, walk);
        double strayed[fp::walk_lanes] = {};
        bool same = true;
        for (int done = 0; done < steps; done += fp::block_steps) {
            const int now = std::min(fp::block_steps, steps - done);
            plain.draw(normals, now);
            bridge.draw(walk, now);
            for (int s = 0; s < now; ++s) {
                const std::size_t at = static_cast<std::size_t>(done + s);
                for (int lane = 0; lane < fp::walk_lanes; ++lane) {
                    double expected = mean + deviation * normals.path[s][lane];
                    if (at < bridged) {
                        const double left = at < 45 ? 45.0 - static_cast<double>(at) : 65.0 - static_cast<double>(at);
                        const double strays =
                            std::sqrt((left - 1.0) / left) * (deviation * normals.path[s][lane]) - strayed[lane] / left;
                        strayed[lane] += strays;
                        expected = (at < 45 ? -0.002 : 0.003) + strays;
                    }
                    same = same && walk.path[s][lane] == expected;
                }
                if (at == 44 || at == 64) {
                    for (const double noise : strayed) same = same && std::fabs(noise) < 1e-16;
                }
            }
        }
        CHECK(same);
    }
}

TEST_CASE("a fund that targets a volatility, by hand") {
    const double due[] = {0.0, 1.0, 1.0};
    // A step of a year, and half its weight for every move: variance 1, then 1/2 + 9/2, then 5/2.
    const fp::VolatilityTargeting rule{8.0, 2.0, 1.0, fp::seconds_a_year, 1.0, true, due};
    fp::TargetingFund fund(rule, fp::seconds_a_year);
    fund.move(3.0);
    CHECK(fund.trade(1) == 0.0);  // not yet
    CHECK(fund.trade(2) == near(8.0 - 8.0 * 2.0 / std::sqrt(5.0)));
    fund.move(0.0);
    CHECK(fund.trade(3) == near(8.0 * 2.0 / std::sqrt(5.0) - 8.0));  // all back: 2 / sqrt(5/2) is above the most
    fp::VolatilityTargeting sells = rule;
    sells.buys_back = false;
    fp::TargetingFund seller(sells, fp::seconds_a_year);
    seller.move(3.0);
    CHECK(seller.trade(2) > 0.8);
    seller.move(0.0);
    CHECK(seller.trade(3) == 0.0);
}

TEST_CASE("an exception of the poll stops the run") {
    tests::Positions in;
    in.add(+1, 1.0, 1e-100);
    const tests::SortedBook book(in);
    const tests::Impact impact = tests::linear(0.0);
    const double normal[] = {0.0, 0.001};
    const fp::PathJob job = job_of(book, impact.market(100.0), {fp::ProcessKind::gbm, normal, nullptr, false, 0},
                                   {1.0, inf, 4'000'000'000});
    struct Enough {};
    const auto poll = [](std::size_t) { throw Enough{}; };
    CHECK_THROWS_AS(fp::simulate(job, 0, 4, {}, {nullptr, 0, nullptr}, 1, poll), Enough);
    CHECK_THROWS_AS(fp::simulate(job, 0, 40, {}, {nullptr, 0, nullptr}, 2, poll), Enough);
    CHECK_THROWS_AS(fp::simulate(job, 0, 4'000, {}, {nullptr, 0, nullptr}, 2, poll), Enough);
}
