// Cascades worked by hand, the money of positions, and a cascade of random books done the slow way.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "books.hpp"
#include "flushpoint/cascade.hpp"
#include "generator.hpp"
#include "impacts.hpp"

namespace fp = flushpoint;
using doctest::Approx;

namespace {

constexpr double inf = fp::math::infinity;
constexpr double nan_ = fp::math::not_a_number;

Approx near(double x) { return Approx(x).epsilon(1e-13); }

struct Run {
    fp::CascadeTotals totals;
    std::vector<fp::Wave> waves;
    double proceeds;                                       // from whole waves
    std::vector<double> fetched, shortfall, surplus;       // by position, in input order
    fp::Money money;

    Run(const tests::Positions& in, const fp::MarketData& market, const fp::Scenario& scenario)
        : fetched(in.size(), nan_), shortfall(in.size(), nan_), surplus(in.size(), nan_) {
        const tests::SortedBook book(in);
        totals = fp::cascade(book.view(), market, scenario, waves);
        proceeds = fp::cascade_proceeds(book.view(), market, scenario);
        money = fp::cascade_positions(
            book.view(), market, scenario,
            {book.longs.index.data(), book.shorts.index.data(), book.longs.bankruptcy.data(),
             book.shorts.bankruptcy.data(), fetched.data(), shortfall.data(), surplus.data()});
    }
};

void check_wave(const fp::Wave& wave, double price, double quantity, int count, double notional) {
    CHECK(wave.price == near(price));
    CHECK(wave.quantity == near(quantity));
    CHECK(wave.count == count);
    CHECK(wave.notional == near(notional));
}

// Evaporating with thinning 1: selling V moves the price to start * (1 - V / 100), buying V to start / (1 - V / 100).
const tests::Impact hundredth = tests::evaporating(0.01, 1.0);

}  // namespace

TEST_CASE("three longs, two waves") {
    // 100 falls by 10 % to 90. Longs at 91 and 90 (not 85, 50) fire: 5 + 5 sold, 90 * (1 - 0.10) = 81 is left.
    // That fires 85: another 10, 90 * (1 - 0.20) = 72. Nobody stands between 72 and 50.
    tests::Positions in;
    in.add(+1, 10.0, 85.0, 70.0);
    in.add(+1, 5.0, 90.0, 88.0);
    in.add(+1, 20.0, 50.0, 40.0);
    in.add(+1, 5.0, 91.0, 80.0);
    const Run run(in, hundredth.market(100.0), {-0.1, 0.0, 0.0});
    REQUIRE(run.waves.size() == 2);
    check_wave(run.waves[0], 90.0, 10.0, 2, 5 * 91.0 + 5 * 90.0);
    check_wave(run.waves[1], 81.0, 10.0, 1, 850.0);
    CHECK(run.totals.final_price == near(72.0));
    CHECK(run.totals.low_price == near(72.0));
    CHECK(run.totals.high_price == near(90.0));
    CHECK(run.totals.amplification == near(std::log(0.72) / std::log(0.9)));
    CHECK(run.totals.longs_closed == 3);
    CHECK(run.totals.shorts_closed == 0);
    CHECK_FALSE(run.totals.exhausted);

    // The price falls in a line from 90 to 72 over 20 sold, so each fetches its quantity times the price half way:
    // 91 first (5 * 87.75), then 90 (5 * 83.25), then 85 (10 * 76.5).
    CHECK(run.fetched[3] == near(438.75));
    CHECK(run.fetched[1] == near(416.25));
    CHECK(run.fetched[0] == near(765.0));
    CHECK(std::isnan(run.fetched[2]));
    CHECK(run.proceeds == near(1620.0));
    CHECK(run.surplus[3] == near(438.75 - 400.0));
    CHECK(run.shortfall[3] == 0.0);
    CHECK(run.shortfall[1] == near(440.0 - 416.25));
    CHECK(run.surplus[1] == 0.0);
    CHECK(run.surplus[0] == near(65.0));
    CHECK(std::isnan(run.shortfall[2]));
    CHECK(run.money.shortfall == near(23.75));
    CHECK(run.money.surplus == near(38.75 + 65.0));
}

TEST_CASE("shorts, with a spread") {
    // 100 rises to 110 and fires 108: buying 20 asks leaves 110 / 0.8 = 137.5, which fires 130: 110 / 0.75 = 146.66...
    tests::Positions in;
    in.add(-1, 5.0, 130.0, 150.0);
    in.add(-1, 20.0, 108.0, 115.0);
    in.add(-1, 1.0, 147.0, 147.0);
    const Run run(in, hundredth.market(100.0, 0.0, 0.02), {0.1, 0.0, 0.0});
    REQUIRE(run.waves.size() == 2);
    check_wave(run.waves[0], 110.0, 20.0, 1, 2160.0);
    check_wave(run.waves[1], 137.5, 5.0, 1, 650.0);
    CHECK(run.totals.final_price == near(110.0 / 0.75));
    CHECK(run.totals.high_price == near(110.0 / 0.75));
    CHECK(run.totals.low_price == near(110.0));
    CHECK(run.totals.shorts_closed == 2);
    // The cost of the first 20 is the integral of 110 / (1 - v / 100): 11000 * ln(1 / 0.8), and half the spread.
    const double first = -11000.0 * std::log(0.8) * 1.01, second = -11000.0 * std::log(0.75 / 0.8) * 1.01;
    CHECK(run.fetched[1] == near(-first));
    CHECK(run.fetched[0] == near(-second));
    CHECK(run.proceeds == near(-first - second));
    // Bankruptcy at 115 covers 2300, less than the cost; at 150 covers 750, more than it.
    CHECK(run.shortfall[1] == near(first - 2300.0));
    CHECK(run.surplus[0] == near(750.0 - second));
}

TEST_CASE("both sides in one wave: longs first, then shorts buy back") {
    // At 100 a long at 101 (10) and a short at 99 (4) are both crossed already: 10 sold, 4 bought, 100 * 0.94 is left.
    // That fires 95 (2): 92.
    tests::Positions in;
    in.add(-1, 4.0, 99.0, 100.0);
    in.add(+1, 2.0, 95.0, 90.0);
    in.add(+1, 10.0, 101.0, 90.0);
    const Run run(in, hundredth.market(100.0), {0.0, 0.0, 0.0});
    REQUIRE(run.waves.size() == 2);
    check_wave(run.waves[0], 100.0, 14.0, 2, 1010.0 + 396.0);
    check_wave(run.waves[1], 94.0, 2.0, 1, 190.0);
    CHECK(run.totals.final_price == near(92.0));
    CHECK(run.totals.low_price == near(92.0));
    CHECK(run.totals.high_price == 100.0);
    CHECK(std::isnan(run.totals.amplification));  // nothing moved the price to begin with
    CHECK(run.fetched[2] == near(10.0 * 95.0));
    CHECK(run.fetched[0] == near(-4.0 * 92.0));  // between 90 and 94
    CHECK(run.fetched[1] == near(2.0 * 93.0));
    CHECK(run.proceeds == near(950.0 - 368.0 + 186.0));
}

TEST_CASE("a purchase fires shorts, and the refill longs") {
    // Buying 20 makes 100 / 0.8 = 125. The short at 120 buys 5: V = -25, 100 / 0.75 = 133.33. Four fifths of it come
    // back: V = -5, 100 / 0.95 = 105.26, which fires the long at 110: V = +5, 95. Refilled: V = +1, 99.
    tests::Positions in;
    in.add(-1, 5.0, 120.0, 0.0);
    in.add(+1, 10.0, 110.0, 0.0);
    in.add(+1, 10.0, 98.0, 0.0);
    const Run run(in, hundredth.market(100.0), {0.0, -20.0, 0.8});
    REQUIRE(run.waves.size() == 2);
    check_wave(run.waves[0], 125.0, 5.0, 1, 600.0);
    check_wave(run.waves[1], 100.0 / 0.95, 10.0, 1, 1100.0);
    CHECK(run.totals.final_price == near(99.0));
    CHECK(run.totals.high_price == near(100.0 / 0.75));
    CHECK(run.totals.low_price == near(95.0));  // before the refill
    CHECK(run.totals.amplification == near(std::log(0.99) / std::log(1.25)));
    // The long's 10 first return 5 to the asks (from 105.26 to 100), then meet 5 bids (from 100 to 95).
    CHECK(run.fetched[1] == near(-10000.0 * std::log(0.95) + 5.0 * 97.5));
    CHECK(run.proceeds == near(run.fetched[0] + run.fetched[1]));
}

TEST_CASE("permanent impact does not refill") {
    // permanent = 0.01, no other impact: h = 0. 100 falls to 95 and fires 96 (10): 95 exp(-0.1) = 85.96 stays.
    tests::Positions in;
    in.add(+1, 10.0, 96.0);
    in.add(+1, 10.0, 85.9);
    const tests::Impact none = tests::linear(0.0);
    const Run run(in, none.market(100.0, 0.01), {-0.05, 0.0, 1.0});
    CHECK(run.waves.size() == 1);
    CHECK(run.totals.final_price == near(95.0 * std::exp(-0.1)));
    CHECK(run.proceeds == near(95.0 * -std::expm1(-0.1) / 0.01));
}

TEST_CASE("the mark moves less than the price") {
    // At mark weight 0.5, selling 19 moves the price to 81 and the mark to sqrt(0.81) * 100 = 90.
    tests::Positions in;
    in.add(+1, 19.0, 100.0);
    in.add(+1, 1.0, 90.0);
    in.add(+1, 1.0, 89.0);
    const Run run(in, hundredth.market(100.0, 0.0, 0.0, 0.5), {0.0, 0.0, 0.0});
    REQUIRE(run.waves.size() == 2);
    check_wave(run.waves[1], 81.0, 1.0, 1, 90.0);
    CHECK(run.totals.final_price == near(80.0));
}

TEST_CASE("an exhausted book") {
    // Selling 100 of 100 empties the bids: price 0 and all triggers but the one at 0 fire.
    tests::Positions in;
    in.add(+1, 60.0, 95.0, 90.0);
    in.add(+1, 40.0, 60.0, 50.0);
    in.add(+1, 7.0, 1e-300, 0.0);
    in.add(+1, 9.0, 0.0, 0.0);
    in.add(-1, 9.0, 101.0, 0.0);
    const Run run(in, hundredth.market(100.0), {-0.05, 0.0, 0.0});
    CHECK(run.waves.size() == 3);
    CHECK(run.totals.exhausted);
    CHECK(run.totals.longs_closed == 3);
    CHECK(run.totals.shorts_closed == 0);
    CHECK(run.totals.final_price == 0.0);
    CHECK(run.totals.low_price == 0.0);
    CHECK(run.totals.amplification == inf);
    CHECK(run.fetched[0] == near(60.0 * 95.0 * 0.7));
    CHECK(run.fetched[1] == near(40.0 * 95.0 * 0.2));
    CHECK(run.fetched[2] == 0.0);
    CHECK(std::isnan(run.fetched[3]));
    CHECK(run.proceeds == near(95.0 * 50.0));  // the area under a line from 95 to 0 over 100
}

TEST_CASE("nothing fires") {
    tests::Positions in;
    in.add(+1, 10.0, 80.0);
    in.add(-1, 10.0, 120.0);
    for (const fp::Scenario scenario : {fp::Scenario{0.0, 0.0, 0.0}, {-0.1, 0.0, 0.5}, {0.1, -2.0, 0.0}, {-0.2, -1.0, 0.0}}) {
        const Run run(in, hundredth.market(100.0), scenario);
        CHECK(run.waves.empty());
        CHECK(run.totals.amplification == 1.0);
        CHECK(run.proceeds == 0.0);
        CHECK(std::isnan(run.fetched[0]));
    }
    const Run empty({}, hundredth.market(100.0), {-0.5, 3.0, 0.2});
    CHECK(empty.waves.empty());
    // A trigger of 90.0 fires at 100 * (1 - 0.10) = 90.000..., whatever the rounding; so does 110.0 at +0.10.
    tests::Positions tie;
    tie.add(+1, 1.0, 90.0);
    tie.add(-1, 1.0, 110.0);
    CHECK(Run(tie, hundredth.market(100.0), {-0.1, 0.0, 0.0}).waves.size() == 1);
    CHECK(Run(tie, hundredth.market(100.0), {0.1, 0.0, 0.0}).waves.size() == 1);
}

TEST_CASE("cascades of random books, the slow way") {
    tests::Generator random(1);
    for (const tests::Impact& impact : tests::one_of_each()) {
        for (int round = 0; round < 200; ++round) {
            CAPTURE(impact.name);
            CAPTURE(round);
            const double price = 100.0;
            const std::size_t count = random.below(200);
            const tests::Positions in = tests::random_positions(random, count, price, 0.3, 150.0);
            const fp::MarketData market = impact.market(price, random.below(2) ? 2e-4 : 0.0, 0.01 * random.uniform(),
                                                        random.below(2) ? 1.0 : random.uniform());
            const double share = random.below(2) ? 0.0 : random.uniform();
            const fp::Scenario scenario{random.between(-0.3, 0.3), random.below(2) ? random.between(-20.0, 20.0) : 0.0,
                                        share, random.below(2) ? 1.0 : random.between(0.7, 3.0)};
            const Run run(in, market, scenario);

            // All open positions are looked at in every wave; sums are plain.
            std::vector<bool> closed(count, false);
            double low = inf, high = 0.0, final_price = 0.0;
            std::size_t waves = 0, longs = 0, shorts = 0;
            fp::with_market(market, scenario.liquidity, [&](const auto& m) {
                const double start = price * (1.0 + scenario.shock);
                fp::State state{scenario.sell, scenario.sell};
                const auto now = [&] { return start * fp::math::exp(-m.displacement(state)); };
                low = high = final_price = now();
                for (;; ++waves) {
                    const double factor = m.mark_factor(m.displacement(state));
                    double sold = 0.0;
                    bool any = false;
                    for (std::size_t i = 0; i < count; ++i) {
                        const double trigger = in.trigger[i];
                        const bool is_long = in.side[i] > 0;
                        const bool hit = is_long ? fp::long_crossed(trigger, factor, start) && trigger > 0.0
                                                 : fp::short_crossed(trigger, factor, start) && trigger < inf;
                        if (closed[i] || !hit) continue;
                        closed[i] = any = true;
                        sold += is_long ? in.quantity[i] : -in.quantity[i];
                        (is_long ? longs : shorts) += 1;
                    }
                    if (!any) break;
                    state = state.after(sold);
                    final_price = now();
                    low = std::min(low, final_price);
                    high = std::max(high, final_price);
                    state.recovering *= 1.0 - scenario.refill;
                    final_price = now();
                }
            });
            CHECK(run.waves.size() == waves);
            CHECK(run.totals.longs_closed == longs);
            CHECK(run.totals.shorts_closed == shorts);
            CHECK(run.totals.final_price == Approx(final_price).epsilon(1e-11));
            CHECK(run.totals.low_price == Approx(low).epsilon(1e-11));
            CHECK(run.totals.high_price == Approx(high).epsilon(1e-11));

            // Positions fetch together what whole waves do.
            double sum = 0.0, turnover = 0.0, shortfall = 0.0, surplus = 0.0;
            for (std::size_t i = 0; i < count; ++i) {
                CHECK(std::isnan(run.fetched[i]) == !closed[i]);
                CHECK(std::isnan(run.surplus[i]) == !closed[i]);
                if (!closed[i]) continue;
                sum += run.fetched[i];
                turnover += std::fabs(run.fetched[i]);
                shortfall += run.shortfall[i];
                surplus += run.surplus[i];
                const double gain = run.fetched[i] - in.side[i] * in.quantity[i] * in.bankruptcy[i];
                CHECK(run.surplus[i] - run.shortfall[i] == Approx(gain).epsilon(1e-12).scale(std::fabs(run.fetched[i])));
            }
            if (turnover < inf) {
                CHECK(std::fabs(sum - run.proceeds) <= 1e-12 * turnover);
                CHECK(run.money.shortfall == Approx(shortfall).epsilon(1e-12));
                CHECK(run.money.surplus == Approx(surplus).epsilon(1e-12));
            } else {
                CHECK(run.proceeds == -inf);
            }
        }
    }
}

TEST_CASE("outputs that are not asked for may be null") {
    tests::Generator random(2);
    const tests::Positions in = tests::random_positions(random, 50, 100.0, 0.2, 50.0);
    const tests::SortedBook book(in);
    const tests::Impact impact = tests::linear(0.002);
    const fp::MarketData market = impact.market(100.0);
    const fp::Scenario scenario{-0.1, 0.0, 0.0};
    const fp::Money none = fp::cascade_positions(book.view(), market, scenario, {});
    CHECK(none.shortfall == 0.0);
    CHECK(none.surplus == 0.0);
    const Run run(in, market, scenario);
    const fp::Money money = fp::cascade_positions(
        book.view(), market, scenario,
        {nullptr, nullptr, book.longs.bankruptcy.data(), book.shorts.bankruptcy.data(), nullptr, nullptr, nullptr});
    CHECK(tests::same_bits(money.shortfall, run.money.shortfall));
    CHECK(tests::same_bits(money.surplus, run.money.surplus));
}
