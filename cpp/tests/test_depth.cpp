#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "books.hpp"
#include "flushpoint/cascade.hpp"
#include "flushpoint/living_depth.hpp"
#include "flushpoint/paths.hpp"
#include "generator.hpp"
#include "impacts.hpp"

namespace fp = flushpoint;
using doctest::Approx;

namespace {

constexpr double inf = fp::math::infinity;
constexpr double year = 365.0 * 86'400.0;

Approx near(double x) { return Approx(x).epsilon(1e-12); }

// One path of given returns, of which all prices, liquidities and spreads are told.
struct Told {
    std::vector<double> prices, liquidity, spread;
    double support_quantity, least_liquidity;
    std::size_t waves;
};

Told run(const tests::SortedBook& book, const fp::MarketData& market, const std::vector<double>& returns,
         const fp::LivingDepthData* depth, double half_life = inf) {
    const auto steps = static_cast<std::int64_t>(returns.size());
    const fp::ProcessData process{fp::ProcessKind::returns, nullptr, returns.data(), false, returns.size()};
    fp::PathJob job{book.venue_view(), nullptr, nullptr, nullptr, market, process, {7, false}, {60.0, half_life, steps},
                    {nullptr, nullptr}, false};
    job.depth = depth;
    Told out{std::vector<double>(returns.size() + 1), std::vector<double>(returns.size() + 1),
             std::vector<double>(returns.size() + 1), 0.0, 0.0, 0};
    std::vector<std::int64_t> at;
    for (std::int64_t step = 0; step <= steps; ++step) at.push_back(step);
    fp::PathColumns columns{};
    columns.support_quantity = &out.support_quantity;
    columns.least_liquidity = &out.least_liquidity;
    const fp::Recording recording{at.data(), at.size(), out.prices.data(), out.liquidity.data(), out.spread.data()};
    out.waves = fp::replay(job, 0, columns, recording, [](std::size_t) {}).size();
    return out;
}

}  // namespace

TEST_CASE("depth thins at once, refills by half-lives, and never below its least") {
    fp::LivingDepth depth({0.5, 1.0, 600.0, 0.1, 120.0, 0.5, 0.03}, 60.0, 0.0, 0.01);
    depth.move(0.0);
    CHECK(depth.liquidity() == 1.0);
    CHECK(depth.spread() == 0.01);
    const double kept = std::pow(2.0, -0.1), half = std::sqrt(0.5);
    const double variance = 0.25 * kept * kept + (1.0 - kept) * 1e-4 * year / 60.0;
    depth.move(0.01);
    const double thin = 0.5 / std::sqrt(variance);
    CHECK(depth.liquidity() == near(thin));
    CHECK(depth.spread() == near(0.01 * (1.0 + 0.5 * (1.0 / thin - 1.0))));
    for (int i = 0; i < 60; ++i) depth.move(0.01);  // volatility is forgotten before depth is back
    CHECK(depth.liquidity() < 1.0);
    const double missing = 1.0 - depth.liquidity();
    depth.move(0.01);
    CHECK(1.0 - depth.liquidity() == Approx(missing * half).epsilon(1e-9));
    depth.move(-0.5);
    CHECK(depth.liquidity() == 0.1);
    CHECK(depth.least_liquidity() == 0.1);
    CHECK(depth.spread() == 0.03);
}

TEST_CASE("depth that is used up tells nothing of volatility, whatever the memory") {
    for (const double memory : {1e-3, 600.0}) {
        fp::LivingDepth depth({0.5, 1.0, memory, 0.1, 120.0, 0.5, 0.03}, 60.0, 0.0, 0.01);
        depth.move(-0.01);
        const double thin = depth.liquidity(), wide = depth.spread();
        CHECK(thin < 1.0);
        depth.move(-inf);
        depth.move(inf);
        CHECK(depth.liquidity() == thin);  // as far as volatility allows
        CHECK(depth.spread() == wide);
        fp::LivingDepth same({0.5, 1.0, memory, 0.1, 120.0, 0.5, 0.03}, 60.0, 0.0, 0.01);
        same.move(-0.01);
        same.move(-0.02);
        depth.move(-0.02);
        CHECK(depth.liquidity() == same.liquidity());
        CHECK(depth.spread() == same.spread());
    }
}

TEST_CASE("a purchase brings every impact to the displacement asked for") {
    tests::Generator random(21);
    for (const tests::Impact& impact : tests::one_of_each()) {
        for (const double permanent : {0.0, 1e-4}) {
            const fp::MarketData data = impact.market(100.0, permanent);
            fp::with_market(data, 0.7, [&](const auto& market) {
                for (int i = 0; i < 200; ++i) {
                    const double recovering = random.between(-50.0, 100.0);
                    const fp::State before{recovering + random.between(-50.0, 50.0), recovering};
                    const double x = market.displacement(before) - random.uniform();
                    const double quantity = market.purchase_to(before, x);
                    CHECK(quantity > 0.0);
                    CHECK(market.displacement(before.after(-quantity)) == Approx(x).epsilon(1e-9).scale(1.0));
                }
            });
        }
    }
}

TEST_CASE("buyers hold the price, those at the highest first, and what they buy is gone") {
    // 0.01 of log price a unit. From ln price -0.1 to -0.05: 3 at -0.02 and 2 at -0.05.
    const double price[] = {std::exp(-0.02), std::exp(-0.05)}, quantity[] = {3.0, 4.0};
    const tests::Impact impact = tests::linear(0.01);
    fp::MarketData data = impact.market(1.0);
    data.support = {price, quantity, 2};
    fp::with_market(data, 1.0, [&](const auto& market) {
        fp::Support support(*market.support);
        const auto bought = [&](double log_start, fp::State state) {
            support.set_start(log_start);
            return support.buy(market, state);
        };
        CHECK(bought(-0.01, fp::State{0.0, 0.0}) == 0.0);
        CHECK(bought(-0.1, fp::State{0.0, 0.0}) == near(5.0));
        CHECK(bought(-0.1, fp::State{-5.0, -5.0}) == Approx(0.0));
        CHECK(bought(-0.2, fp::State{-5.0, -5.0}) == near(2.0));
        CHECK(support.bought() == near(7.0));
        CHECK(support.log_price() == -inf);
        CHECK(bought(-9.0, fp::State{0.0, 0.0}) == 0.0);
    });
    // A cascade: two positions, of which the support saves the second.
    tests::Positions in;
    in.add(+1, 3.0, std::exp(-0.03), 1.0);
    in.add(+1, 9.0, std::exp(-0.055), 1.0);
    const tests::SortedBook book(in);
    std::vector<fp::Wave> waves;
    const fp::CascadeTotals t = fp::cascade(book.view(), data, {std::exp(-0.07) - 1.0, 0.0, 0.0}, waves);
    REQUIRE(waves.size() == 1);
    CHECK(std::log(waves[0].price) == near(-0.04));
    CHECK(waves[0].quantity == 3.0);
    CHECK(std::log(t.low_price) == near(-0.07));
    CHECK(std::log(t.final_price) == near(-0.05));
    CHECK(t.support_quantity == near(5.0));
    CHECK(t.amplification == near(5.0 / 7.0));
}

TEST_CASE("a path's price stays where it is when depth thins, and sales meet what is left") {
    tests::Positions in;
    in.add(+1, 10.0, std::exp(-0.2), 1.0);
    in.add(+1, 10.0, std::exp(-0.45), 1.0);
    const tests::SortedBook book(in);
    const tests::Impact impact = tests::linear(0.01);
    const fp::MarketData market = impact.market(1.0, 0.002);
    const fp::LivingDepthData depth{0.5, 1.0, 600.0, 0.25, inf, 0.0, 0.05};
    const Told told = run(book, market, {-0.2, 0.0, -0.15, 0.0}, &depth);
    REQUIRE(told.waves == 2);
    const double expected[] = {0.0, -0.32, -0.32, -0.47 - 0.12 / 0.25, -0.47 - 0.12 / 0.25};
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(std::log(told.prices[i]) == near(expected[i]));
        CHECK(told.liquidity[i] == (i ? 0.25 : 1.0));
        CHECK(told.spread[i] == 0.0);
    }
    CHECK(told.least_liquidity == 0.25);
    CHECK(told.support_quantity == 0.0);
}

TEST_CASE("support buys in a step in which nothing closes") {
    const double price[] = {std::exp(-0.05)}, quantity[] = {100.0};
    const tests::SortedBook nobody(tests::Positions{});
    const tests::Impact impact = tests::linear(0.01);
    fp::MarketData market = impact.market(1.0);
    market.support = {price, quantity, 1};
    // They buy 4 at -0.09 and 3 at -0.12; with a half-life of a step 4, then 2 for those that recovered, then 5.
    const Told told = run(nobody, market, {-0.02, -0.07, 0.0, -0.03}, nullptr);
    const double expected[] = {0.0, -0.02, -0.05, -0.05, -0.05};
    for (std::size_t i = 0; i < 5; ++i) CHECK(std::log(told.prices[i]) == near(expected[i]));
    CHECK(told.support_quantity == near(7.0));
    CHECK(run(nobody, market, {-0.02, -0.07, 0.0, -0.03}, nullptr, 60.0).support_quantity == near(11.0));
    CHECK(told.least_liquidity == 1.0);
}
