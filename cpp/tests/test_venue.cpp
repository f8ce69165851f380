// A venue: blocks of closes against a plain loop, auto-deleveraging rule by rule, the queue of returned positions, and the
// conservation of money.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "books.hpp"
#include "flushpoint/deleveraging.hpp"
#include "flushpoint/firing_queue.hpp"
#include "flushpoint/paths.hpp"
#include "flushpoint/venue_run.hpp"
#include "flushpoint/waterfall.hpp"
#include "generator.hpp"
#include "impacts.hpp"

namespace fp = flushpoint;

namespace {

constexpr double price = 100.0;

const auto ignore = [](std::size_t) {};

// One side, so that long stretches of a wave leave something, long stretches do not, and some are mixed.
tests::Positions wave_of(tests::Generator& random, std::size_t count, bool shorts, double total) {
    tests::Positions in;
    const double s = shorts ? -1.0 : 1.0;
    double level = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
        if (random.below(40) == 0) level = random.between(-0.12, 0.12);
        const double trigger = price * (1.0 - s * 0.1 * static_cast<double>(i) / static_cast<double>(count));
        const double noise = random.below(3) == 0 ? random.between(-0.02, 0.02) : 0.0;
        in.add(shorts ? -1 : 1, 2.0 * total * random.uniform() / static_cast<double>(count) + 1e-6, trigger,
               price * (1.0 - s * (0.05 + level + noise)));
    }
    return in;
}

// The rule of waterfall.hpp, one position after another.
template <class Market>
std::size_t settle_singly(const Market& market, fp::State state, const tests::SortedSide& side, bool shorts,
                          fp::Ledger& ledger, bool stops) {
    const double s = shorts ? -1.0 : 1.0;
    for (std::size_t i = 0; i < side.live; ++i) {
        const double held = s * side.quantity[i], owed = held * side.bankruptcy[i];
        const double money = market.proceeds(price, state, held), gain = money - owed;
        if (stops && -gain > ledger.fund) return i;
        ledger.value += owed;
        if (gain < 0.0) {
            ledger.lost(-gain);
        } else {
            ledger.gained(gain, ledger.fee(money, gain));
        }
        state = state.after(held);
    }
    return side.live;
}

}  // namespace

TEST_CASE("blocks of closes leave what they leave one by one") {
    tests::Generator random(1);
    std::size_t stopped = 0, ran_out = 0;
    for (const tests::Impact& impact : tests::one_of_each()) {
        for (int round = 0; round < 60; ++round) {
            const bool shorts = random.below(2), stops = random.below(2);
            const tests::SortedBook book(wave_of(random, 1 + random.below(700), shorts, 60.0));
            const tests::SortedSide& side = shorts ? book.shorts : book.longs;
            fp::VenueData venue;
            const double held = side.quantity_sum.back();
            venue.fund = random.below(4) == 0 ? 1e9 : price * held * random.between(0.0, 0.01);
            venue.fee_rate = random.below(2) ? 0.0 : random.between(0.0, 0.05);
            venue.fee_to_fund = random.below(2);
            venue.surplus_to = static_cast<fp::SurplusTo>(random.below(3));
            const double permanent = random.below(2) ? 0.0 : 1e-4, spread = random.below(2) ? 0.0 : 0.002;
            const fp::State before{random.between(-20.0, 20.0), random.between(-20.0, 20.0)};
            INFO(impact.name, " round ", round, shorts ? " shorts" : " longs");
            fp::with_market(impact.market(price, permanent, spread), random.between(0.7, 1.5), [&](const auto& market) {
                using Impact = std::decay_t<decltype(market.impact)>;
                fp::Ledger blocks(venue), singly(venue);
                const std::size_t end = fp::Waterfall<Impact>(market, price, before, side.view(), side.venue_view().bankruptcy,
                                                              shorts, {0, side.live}, blocks, stops)
                                            .close();
                CHECK(end == settle_singly(market, before, side, shorts, singly, stops));
                stopped += end < side.live;
                ran_out += singly.unpaid_loss > 0.0;
                // A fund of 1e9 keeps no more digits than its own.
                const double slack = 1e-11 * price * held + 1e-12 * venue.fund;
                const auto near = [&](double a, double b) { return std::abs(a - b) <= slack; };
                CHECK(near(blocks.shortfall, singly.shortfall));
                CHECK(near(blocks.surplus, singly.surplus));
                CHECK(near(blocks.fees, singly.fees));
                CHECK(near(blocks.fund, singly.fund));
                CHECK(near(blocks.fund_paid, singly.fund_paid));
                CHECK(near(blocks.fund_received, singly.fund_received));
                CHECK(near(blocks.fund_needed, singly.fund_needed));
                CHECK(near(blocks.unpaid_loss, singly.unpaid_loss));
                CHECK(near(blocks.to_traders, singly.to_traders));
                CHECK(near(blocks.kept, singly.kept));
                CHECK(near(blocks.value, singly.value));
            });
        }
    }
    CHECK(stopped > 20);
    CHECK(ran_out > 20);
}

// --- auto-deleveraging ---
namespace {

constexpr fp::AdlRule rules[] = {fp::AdlRule::queue,     fp::AdlRule::queue_margin_ratio, fp::AdlRule::queue_price_ratio,
                                 fp::AdlRule::list_order, fp::AdlRule::pro_rata,          fp::AdlRule::pro_rata_profit,
                                 fp::AdlRule::water_filling};
bool is_queue(fp::AdlRule rule) { return rule <= fp::AdlRule::list_order; }

std::vector<fp::Candidate> candidates_of(tests::Generator& random, std::size_t count, bool shorts) {
    const double s = shorts ? -1.0 : 1.0;
    std::vector<fp::Candidate> out;
    for (std::size_t i = 0; i < count; ++i) {
        const double entry = price * (1.0 - s * random.between(-0.1, 0.3));
        const double owed = entry * (1.0 - s * random.between(0.02, 0.5));
        out.push_back({random.between(0.1, 5.0), entry, owed, owed * (1.0 + s * 0.01), static_cast<std::int32_t>(i)});
    }
    return out;
}

double total(const std::vector<double>& x) {
    double sum = 0.0;
    for (const double one : x) sum += one;
    return sum;
}

}  // namespace

TEST_CASE("what is closed of winners adds up, within what each holds") {
    tests::Generator random(2);
    for (const fp::AdlRule rule : rules) {
        for (int round = 0; round < 200; ++round) {
            INFO("rule ", static_cast<int>(rule), " round ", round);
            const bool shorts = random.below(2);
            const auto all = candidates_of(random, 1 + random.below(60), shorts);
            double held = 0.0;
            for (const auto& one : all) held += fp::profit(one, price, shorts) > 0.0 ? one.quantity : 0.0;
            const double needed = held * random.between(0.01, 1.3) + 1e-3;
            std::vector<double> closed(all.size());
            const double found = fp::deleverage(rule, price, shorts, needed, all, closed);
            CHECK(found == doctest::Approx(std::min(needed, held)).epsilon(1e-12));
            CHECK(total(closed) == doctest::Approx(found).epsilon(1e-11));
            std::size_t partly = 0;
            double level = 0.0;
            for (std::size_t i = 0; i < all.size(); ++i) {
                const fp::Candidate& one = all[i];
                CHECK(closed[i] >= 0.0);
                CHECK(closed[i] <= one.quantity * (1.0 + 1e-15));
                if (!(fp::profit(one, price, shorts) > 0.0)) CHECK(closed[i] == 0.0);
                else if (held <= needed) CHECK(closed[i] == one.quantity);
                partly += closed[i] > 0.0 && closed[i] < one.quantity;
                const double equity = std::abs(price - one.bankruptcy_price) * one.quantity;
                if (closed[i] > 0.0) level = std::max(level, (one.quantity - closed[i]) * price / equity);
            }
            if (is_queue(rule)) CHECK(partly <= 1);
            if (rule == fp::AdlRule::water_filling && held > needed) {  // one level, which nobody else exceeds
                for (std::size_t i = 0; i < all.size(); ++i) {
                    if (!(fp::profit(all[i], price, shorts) > 0.0)) continue;
                    const double equity = std::abs(price - all[i].bankruptcy_price) * all[i].quantity;
                    const double leverage = (all[i].quantity - closed[i]) * price / equity;
                    CHECK(leverage <= level * (1.0 + 1e-9));
                    if (closed[i] > 0.0) CHECK(leverage == doctest::Approx(level).epsilon(1e-9));
                }
            }
            if (rule == fp::AdlRule::pro_rata && held > needed) {
                for (std::size_t i = 0; i < all.size(); ++i) {
                    if (closed[i] > 0.0) CHECK(closed[i] / all[i].quantity == doctest::Approx(needed / held).epsilon(1e-12));
                }
            }
        }
    }
}

TEST_CASE("a queue closes the higher score first, and of equal ones the earlier place") {
    // Profit x leverage: (10 / 90) (100 / 20), (20 / 80) (100 / 40), (10 / 90) (100 / 10).
    const std::vector<fp::Candidate> three{{1.0, 90.0, 80.0, 81.0, 0}, {1.0, 80.0, 60.0, 61.0, 1}, {1.0, 90.0, 90.0, 91.0, 2}};
    std::vector<double> closed(3);
    CHECK(fp::deleverage(fp::AdlRule::queue, price, false, 1.5, three, closed) == 1.5);
    CHECK(closed == std::vector<double>{0.0, 0.5, 1.0});
    CHECK(fp::deleverage(fp::AdlRule::list_order, price, false, 1.5, three, closed) == 1.5);
    CHECK(closed == std::vector<double>{1.0, 0.5, 0.0});
    for (const fp::AdlRule rule : rules) {
        if (!is_queue(rule)) continue;
        std::vector<fp::Candidate> alike;
        for (const int place : {3, 0, 2, 1}) alike.push_back({1.0, 110.0, 130.0, 129.0, place});
        std::vector<double> taken(4);
        CHECK(fp::deleverage(rule, price, true, 2.5, alike, taken) == 2.5);
        CHECK(taken == std::vector<double>{0.0, 1.0, 0.5, 1.0});
    }
}

TEST_CASE("a winner without equity has no finite leverage and goes first") {
    const std::vector<fp::Candidate> two{{2.0, 90.0, 50.0, 51.0, 0}, {1.0, 95.0, 100.0, 101.0, 1}};
    for (const fp::AdlRule rule : {fp::AdlRule::queue, fp::AdlRule::queue_margin_ratio, fp::AdlRule::queue_price_ratio,
                                   fp::AdlRule::water_filling}) {
        INFO("rule ", static_cast<int>(rule));
        std::vector<double> closed(2);
        CHECK(fp::deleverage(rule, price, false, 1.0, two, closed) == 1.0);
        CHECK(closed[1] == doctest::Approx(1.0));
        CHECK(closed[0] == doctest::Approx(0.0));
    }
    std::vector<double> closed(2, 1.0);
    for (const fp::AdlRule rule : {fp::AdlRule::none, fp::AdlRule::socialised}) {
        CHECK(fp::deleverage(rule, price, false, 1.0, two, closed) == 0.0);
        CHECK(closed == std::vector<double>{0.0, 0.0});
    }
}

// --- the queue of returned positions ---
TEST_CASE("triggers leave the queue wave by wave, in firing order") {
    for (const bool shorts : {false, true}) {
        tests::Generator random(3);
        fp::FiringQueue queue;
        using Entry = std::pair<double, std::int32_t>;  // trigger, signed so that the least fires first; place
        std::set<Entry> expected;
        const double s = shorts ? 1.0 : -1.0;
        std::int32_t place = 0;
        std::vector<fp::FiringKey> taken;
        const auto take = [&](double bound) {
            queue.take([&](std::uint64_t order) { return s * fp::FiringKey::trigger(order, shorts) <= s * bound; }, taken);
            bool same = true;
            for (const fp::FiringKey& key : taken) {
                const Entry first = expected.empty() ? Entry{fp::math::infinity, 0} : *expected.begin();
                same = same && first.first <= s * bound && fp::FiringKey::trigger(key.order, shorts) == s * first.first && key.slot() == first.second + 7;
                if (!expected.empty()) expected.erase(expected.begin());
            }
            return same && (expected.empty() || expected.begin()->first > s * bound);
        };
        for (int round = 0; round < 120; ++round) {
            const int many = random.below(3) ? static_cast<int>(random.below(20)) : 4'000;
            const bool crowd = random.below(4) == 0, ahead = random.below(2);  // at few prices; in front of those taken
            const double last = taken.empty() ? 100.0 : fp::FiringKey::trigger(taken.back().order, shorts);
            for (int i = 0; i < many; ++i, ++place) {
                double trigger = ahead ? last * (1.0 + s * random.between(0.0, 0.1)) : random.between(0.0, 200.0);
                if (crowd) trigger = static_cast<double>(random.below(20));
                queue.push({trigger, shorts, place, place + 7});
                expected.insert({s * trigger, place});
            }
            INFO("shorts ", shorts, ", round ", round);
            if (!expected.empty()) CHECK(queue.trigger(shorts) == s * expected.begin()->first);
            CHECK(take(last * (1.0 + s * random.between(-0.02, random.below(4) ? 0.02 : 0.5))));
            CHECK(queue.size() == expected.size());
            CHECK(queue.empty() == expected.empty());
            std::vector<Entry> held;
            for (const fp::FiringKey& key : queue.all()) {
                held.push_back({s * fp::FiringKey::trigger(key.order, shorts), static_cast<std::int32_t>(key.rest >> 32)});
            }
            CHECK(std::equal(held.begin(), held.end(), expected.begin(), expected.end()));
        }
        CHECK(take(s * fp::math::infinity));
        CHECK(queue.empty());
    }
}

// --- conservation ---
namespace {

tests::Positions random_book(tests::Generator& random, std::size_t count) {
    tests::Positions in = tests::random_positions(random, count, price, 0.25, 80.0);
    for (std::size_t i = 0; i < count; ++i) in.entry.push_back(price * random.between(0.85, 1.15));
    return in;
}

const double tier_floor[] = {0.0, 20.0, 80.0}, tier_rate[] = {0.005, 0.01, 0.025}, tier_deduction[] = {0.0, 0.1, 1.3};

fp::VenueData random_venue(tests::Generator& random) {
    fp::VenueData venue;
    venue.fund = random.below(3) == 0 ? 0.0 : random.between(0.0, 50.0);
    venue.fee_rate = random.below(2) ? 0.0 : 0.002;
    venue.fee_to_fund = random.below(2);
    venue.surplus_to = static_cast<fp::SurplusTo>(random.below(3));
    venue.adl = static_cast<fp::AdlRule>(random.below(9));
    venue.adl_at_mark = random.below(2);
    venue.close = static_cast<fp::CloseRule>(random.below(3));
    if (venue.close == fp::CloseRule::tier_step_down || (venue.close == fp::CloseRule::fraction && random.below(3) == 0)) {
        venue.tiers = {tier_floor, tier_rate, tier_deduction, 3};
    }
    if (venue.close == fp::CloseRule::fraction && random.below(2)) venue.fraction = random.between(0.05, 1.0);
    venue.target = random.between(1.0, 1.5);
    return venue;
}

// Which positions of either side, by their place in firing order, are stop orders: none or `share` of them.
struct Stops {
    std::unique_ptr<bool[]> flags;

    Stops(tests::Generator& random, std::size_t count, double share) {
        if (share == 0.0) return;
        flags.reset(new bool[count]);
        for (std::size_t i = 0; i < count; ++i) flags[i] = random.uniform() < share;
    }
    fp::VenueBookView of(const tests::SortedBook& book) const {
        fp::VenueBookView view = book.venue_view();
        view.longs.stop = view.shorts.stop = flags.get();
        return view;
    }
};

double gross(const tests::Positions& in) {
    double sum = 0.0;
    for (const double q : in.quantity) sum += 2.0 * price * q;
    return sum;
}

}  // namespace

TEST_CASE("money is conserved, and no position is closed by more than it holds") {
    tests::Generator random(4);
    std::int64_t reduced = 0;
    for (const tests::Impact& impact : tests::one_of_each()) {
        for (int round = 0; round < 80; ++round) {
            INFO(impact.name, " round ", round);
            const tests::Positions in = random_book(random, 5 + random.below(300));
            const tests::SortedBook book(in);
            const Stops stops(random, in.size(), random.below(2) ? 0.0 : 0.4);
            const fp::VenueBookView view = stops.of(book);
            const fp::VenueData venue = random_venue(random);
            const fp::Scenario scenario{random.between(-0.15, 0.15), 0.0, random.below(2) ? 0.0 : 0.3, random.between(0.9, 2.0)};
            std::vector<double> told[7];
            for (auto& column : told) column.resize(in.size());
            fp::PositionLedger positions{told[0].data(), told[1].data(), told[2].data(), told[3].data(),
                                         told[4].data(), told[5].data(), told[6].data()};
            const fp::VenueOutcome out = fp::cascade(view, impact.market(price, 0.0, 0.001, 0.9), venue,
                                                     scenario, nullptr, &positions, [] {});
            if (out.totals.exhausted) continue;
            const fp::VenueOutcome again = fp::cascade(view, impact.market(price, 0.0, 0.001, 0.9), venue,
                                                       scenario, nullptr, nullptr, [] {});
            CHECK(std::abs(out.ledger.imbalance()) <= 1e-11 * gross(in));
            CHECK(std::abs(again.ledger.imbalance()) <= 1e-11 * gross(in));
            CHECK(out.longs.count == again.longs.count);
            CHECK(out.shorts.count == again.shorts.count);
            CHECK(out.ledger.fund >= 0.0);
            double closed = 0.0;
            for (std::size_t i = 0; i < in.size(); ++i) {
                closed += told[0][i];
                CHECK(told[0][i] <= in.quantity[i] * (1.0 + 1e-12));
            }
            const double counted = out.longs.quantity + out.shorts.quantity + out.ledger.adl_quantity;
            CHECK(closed == doctest::Approx(counted).epsilon(1e-10));
            reduced += out.ledger.adl_count;
        }
    }
    CHECK(reduced > 500);
}

TEST_CASE("a venue does nothing to stop orders but pay their losses") {
    tests::Generator random(6);
    for (const tests::Impact& impact : tests::one_of_each()) {
        for (int round = 0; round < 20; ++round) {
            INFO(impact.name, " round ", round);
            const tests::SortedBook book(random_book(random, 5 + random.below(200)));
            const Stops all(random, 300, 2.0);
            const fp::VenueData venue = random_venue(random);
            fp::VenueData purse;
            purse.fund = venue.fund;
            if (venue.adl == fp::AdlRule::socialised) purse.adl = venue.adl;
            const fp::Scenario scenario{random.between(-0.15, 0.15), 0.0, 0.0, random.between(0.9, 2.0)};
            const auto run = [&](const fp::VenueData& by) {
                return fp::cascade(all.of(book), impact.market(price, 0.0, 0.001, 0.9), by, scenario, nullptr, nullptr, [] {});
            };
            const fp::VenueOutcome out = run(venue), bare = run(purse);
            CHECK(out.totals.final_price == bare.totals.final_price);
            CHECK(out.ledger.fund == bare.ledger.fund);
            CHECK(out.ledger.to_traders == bare.ledger.to_traders);
            CHECK(out.ledger.unpaid_loss == bare.ledger.unpaid_loss);
            CHECK(out.ledger.socialised_loss == bare.ledger.socialised_loss);
            CHECK(out.ledger.fees == 0.0);
            CHECK(out.ledger.adl_count == 0);
            CHECK(out.stops.count == out.longs.count + out.shorts.count);
            CHECK(out.stops.quantity == out.longs.quantity + out.shorts.quantity);
        }
    }
}

TEST_CASE("money is conserved on paths, also where trades wait") {
    tests::Generator random(5);
    constexpr std::int64_t steps = 40;
    constexpr std::size_t count = 5;
    for (const tests::Impact& impact : tests::one_of_each()) {
        for (int round = 0; round < 30; ++round) {
            INFO(impact.name, " round ", round);
            const tests::Positions in = random_book(random, 5 + random.below(200));
            const tests::SortedBook book(in);
            fp::VenueData venue = random_venue(random);
            const Stops stops(random, in.size(), random.below(2) ? 0.0 : 0.4);
            if (random.below(2)) venue.pacing = random.between(0.001, 0.1);
            if (random.below(2)) venue.delay = 90.0;
            if (random.below(2)) venue.price_band = 0.05;
            std::vector<double> returns(count * steps), numbers[15];
            for (double& r : returns) r = random.between(-0.02, 0.02);
            for (auto& column : numbers) column.resize(count);
            bool exhausted[count];
            fp::PathColumns columns{};
            columns.exhausted = exhausted;
            fp::LedgerColumns& l = columns.ledger;
            double** const wanted[] = {&l.proceeds, &l.fund_end, &l.fees, &l.unpaid_loss, &l.socialised_loss,
                                       &l.to_traders, &l.kept, &l.released, &l.value};
            for (std::size_t i = 0; i < 9; ++i) *wanted[i] = numbers[i].data();
            const fp::PathJob job{stops.of(book), &venue, nullptr, nullptr, impact.market(price, 1e-5, 0.001, 0.9),
                                  {fp::ProcessKind::returns, nullptr, returns.data(), false, steps}, {11, false},
                                  {60.0, 600.0, steps}, {nullptr, nullptr}, false};
            fp::simulate(job, 0, count, columns, {nullptr, 0, nullptr}, 2, ignore);
            for (std::size_t i = 0; i < count; ++i) {
                if (exhausted[i]) continue;
                fp::Ledger told(venue);
                told.proceeds = l.proceeds[i];
                told.fund = l.fund_end[i];
                told.fees = l.fees[i];
                told.unpaid_loss = l.unpaid_loss[i];
                told.socialised_loss = l.socialised_loss[i];
                told.to_traders = l.to_traders[i];
                told.kept = l.kept[i];
                told.released = l.released[i];
                told.value = l.value[i];
                CHECK(std::abs(told.imbalance()) <= 1e-11 * gross(in));
            }
        }
    }
}
