// Sorting against the standard library's stable sort, running sums against compensated long double.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "books.hpp"
#include "flushpoint/book.hpp"
#include "flushpoint/bounds.hpp"
#include "flushpoint/cascade.hpp"
#include "generator.hpp"

namespace fp = flushpoint;

namespace {

constexpr double inf = fp::math::infinity;

struct Distribution {
    std::string name;
    std::function<double(tests::Generator&, double share)> trigger;  // share: the position's place, in [0, 1)
};

const std::vector<Distribution>& distributions() {
    using tests::Generator;
    static const std::vector<Distribution> all{
        {"uniform", [](Generator& g, double) { return g.between(50.0, 100.0); }},
        {"all equal", [](Generator&, double) { return 100.0; }},
        {"two values", [](Generator& g, double) { return g.below(2) ? 90.0 : 110.0; }},
        {"two neighbours", [](Generator& g, double) { return g.below(2) ? 100.0 : std::nextafter(100.0, inf); }},
        {"few values", [](Generator& g, double) { return 1.0 + static_cast<double>(g.below(37)); }},
        {"600 orders of magnitude", [](Generator& g, double) { return g.spread(-1000, 1000); }},
        {"one far outlier", [](Generator& g, double at) { return at == 0.0 ? 1e300 : g.between(99.0, 100.0); }},
        {"subnormal", [](Generator& g, double) { return 5e-324 * static_cast<double>(1 + g.below(5000)); }},
        {"sorted", [](Generator&, double at) { return 1.0 + at; }},
        {"reversed", [](Generator&, double at) { return 2.0 - at; }},
        {"dense with a tail", [](Generator& g, double) { return g.below(100) ? g.between(99.0, 99.001) : g.spread(-80, 80); }},
        {"zeros, infinities and the rest",
         [](Generator& g, double) {
             const double any[] = {0.0, -0.0, inf, 5e-324, std::numeric_limits<double>::max(), g.between(1.0, 2.0)};
             return any[g.below(6)];
         }},
    };
    return all;
}

// Which side positions are on: both mixed, or one alone
tests::Positions positions(const Distribution& distribution, std::size_t count, int sides, std::uint64_t seed) {
    tests::Generator random(seed);
    tests::Positions out;
    for (std::size_t i = 0; i < count; ++i) {
        const int side = sides != 0 ? sides : (random.below(3) ? +1 : -1);
        const double trigger = distribution.trigger(random, static_cast<double>(i) / static_cast<double>(count));
        out.add(side, 1.0 + random.uniform(), trigger, random.uniform());
    }
    return out;
}

// The input positions of one side, in firing order
std::vector<std::int32_t> expected_order(const tests::Positions& in, int side) {
    std::vector<std::int32_t> order;
    for (std::size_t i = 0; i < in.size(); ++i) {
        if (in.side[i] == side) order.push_back(static_cast<std::int32_t>(i));
    }
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        const double x = in.trigger[static_cast<std::size_t>(a)], y = in.trigger[static_cast<std::size_t>(b)];
        return side > 0 ? x > y : x < y;
    });
    return order;
}

bool holds(const tests::SortedSide& side, const std::vector<std::int32_t>& order, const tests::Positions& in, bool bankrupt) {
    if (side.index != order) return false;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const auto from = static_cast<std::size_t>(order[i]);
        if (side.trigger[i] != in.trigger[from] || side.quantity[i] != in.quantity[from]) return false;
        if (bankrupt && side.bankruptcy[i] != in.bankruptcy[from]) return false;
    }
    return true;
}

void check_sort(const tests::Positions& in, const std::vector<int>& thread_counts) {
    const std::vector<std::int32_t> longs = expected_order(in, +1), shorts = expected_order(in, -1);
    for (const int threads : thread_counts) {
        const bool bankrupt = threads != 2;  // the column may be absent
        CAPTURE(threads);
        const tests::SortedBook book(in, threads, bankrupt);
        CHECK(holds(book.longs, longs, in, bankrupt));
        CHECK(holds(book.shorts, shorts, in, bankrupt));
    }
}

}  // namespace

TEST_CASE("bounds are outside, and a NaN is within none") {
    const double least = 5e-324, most = std::numeric_limits<double>::max(), nan = std::numeric_limits<double>::quiet_NaN();
    const auto inside = [](double value, double above, double below) {
        for (std::size_t at = 0; at < 5; ++at) {
            std::vector<double> values(5, above == -inf ? 0.0 : 1.0);
            values[at] = value;
            if (fp::all_between(values.data(), values.size(), above, below) != (value > above && value < below)) return -1;
        }
        return fp::all_between(&value, 1, above, below) ? 1 : 0;
    };
    CHECK(fp::all_between(nullptr, 0, 0.0, inf));
    for (const double value : {least, 1.0, most}) CHECK(inside(value, 0.0, inf) == 1);
    for (const double value : {0.0, -0.0, -least, -1.0, inf, -inf, nan}) CHECK(inside(value, 0.0, inf) == 0);
    for (const double value : {0.0, -0.0, least, most}) CHECK(inside(value, -least, inf) == 1);
    for (const double value : {-least, -1.0, inf, nan}) CHECK(inside(value, -least, inf) == 0);
    for (const double value : {-most, 0.0, most}) CHECK(inside(value, -inf, inf) == 1);
    for (const double value : {-inf, inf, nan}) CHECK(inside(value, -inf, inf) == 0);
}

TEST_CASE("sort_positions equals a stable sort") {
    for (const Distribution& distribution : distributions()) {
        for (const std::size_t count : {0, 1, 2, 24, 25, 1000, 70'000}) {
            for (const int sides : {0, +1, -1}) {
                if (count == 70'000 && sides != 0) continue;  // takes long
                CAPTURE(distribution.name);
                CAPTURE(count);
                CAPTURE(sides);
                check_sort(positions(distribution, count, sides, count + 1), {1, 2, 3, 7});
            }
        }
    }
}

TEST_CASE("sort_positions equals a stable sort: many positions") {
    for (const Distribution& distribution : distributions()) {
        CAPTURE(distribution.name);
        check_sort(positions(distribution, 300'000, 0, 5), {1, 2, 3, 7});
    }
}

TEST_CASE("count_live leaves out what can never trigger") {
    const std::vector<double> longs{5.0, 4.0, 5e-324, 0.0, 0.0}, shorts{1.0, 2.0, 1e308, inf}, never{inf, inf};
    CHECK(fp::count_live(longs.data(), longs.size()) == 3);
    CHECK(fp::count_live(shorts.data(), shorts.size()) == 3);
    CHECK(fp::count_live(never.data(), never.size()) == 0);
    CHECK(fp::count_live(nullptr, 0) == 0);
}

TEST_CASE("crossed counts positions at or beyond a price") {
    tests::Positions in;
    for (const double trigger : {90.0, 95.0, 0.0, 80.0, 95.0}) in.add(+1, 1.0, trigger);
    for (const double trigger : {110.0, inf, 105.0}) in.add(-1, 1.0, trigger);
    const tests::SortedBook book(in);
    const auto longs = [&](double price) { return fp::crossed(book.longs.view(), false, price); };
    const auto shorts = [&](double price) { return fp::crossed(book.shorts.view(), true, price); };
    CHECK(longs(100.0) == 0);
    CHECK(longs(95.0) == 2);
    CHECK(longs(94.0) == 2);
    CHECK(longs(90.0 * (1.0 + 1e-13)) == 3);  // within the slack of the crossing test
    CHECK(longs(90.0 * (1.0 + 1e-11)) == 2);
    CHECK(longs(1e-300) == 4);
    CHECK(shorts(100.0) == 0);
    CHECK(shorts(105.0 * (1.0 - 1e-13)) == 1);
    CHECK(shorts(105.0 * (1.0 - 1e-11)) == 0);
    CHECK(shorts(1e300) == 2);
}

TEST_CASE("accumulate is exact to the last bit or so") {
    for (const Distribution& distribution : distributions()) {
        for (const std::size_t count : {1, 2, 1000, 100'000}) {
            CAPTURE(distribution.name);
            CAPTURE(count);
            const tests::SortedBook book(positions(distribution, count, count % 3 == 0 ? +1 : -1, count + 9));
            for (const tests::SortedSide* side : {&book.longs, &book.shorts}) {
                struct Running {  // two-sum, in long double
                    long double sum = 0.0L, lost = 0.0L;
                    void add(long double x) {
                        const long double total = sum + x, taken = total - sum;
                        lost += (sum - (total - taken)) + (x - taken);
                        sum = total;
                    }
                    long double value() const { return sum + lost; }
                } quantity, notional;
                double worst_quantity = 0.0, worst_notional = 0.0;
                bool rises = side->quantity_sum[0] == 0.0 && side->notional_sum[0] == 0.0;
                for (std::size_t i = 0; i < side->size(); ++i) {
                    quantity.add(side->quantity[i]);
                    // As rounded by the engine: the product is not what is tested.
                    if (i < side->live) notional.add(side->quantity[i] * side->trigger[i]);
                    const double q = side->quantity_sum[i + 1], n = side->notional_sum[i + 1];
                    if (notional.value() > 1.7e308L) break;  // overflow has a test of its own
                    worst_quantity = std::max(worst_quantity, static_cast<double>(std::fabs(q / quantity.value() - 1.0L)));
                    if (n != 0.0 || notional.value() != 0.0L) {
                        worst_notional = std::max(worst_notional, static_cast<double>(std::fabs(n / notional.value() - 1.0L)));
                    }
                    rises = rises && q >= side->quantity_sum[i] && n >= side->notional_sum[i];
                }
                CHECK(worst_quantity <= 0x1p-53);
                CHECK(worst_notional <= 0x1p-53);
                CHECK(rises);
            }
        }
    }
}

TEST_CASE("accumulate: quantities of very different sizes, and sums beyond all doubles") {
    // 1 then many that a plain sum would lose, one by one
    const std::size_t n = 100'000;
    std::vector<double> quantity(n, 0x1p-54), trigger(n, 1.0), sum(n + 1), notional(n + 1);
    quantity[0] = 1.0;
    fp::accumulate(quantity.data(), trigger.data(), n, n, sum.data(), notional.data());
    CHECK(sum[n] == 1.0 + static_cast<double>(n - 2) * 0x1p-54);
    CHECK(notional[n] == sum[n]);

    const std::vector<double> large{1e200, 1e200, 1.0}, price{1e200, 1e200, 1.0};
    std::vector<double> large_sum(4), overflown(4);
    fp::accumulate(large.data(), price.data(), 3, 3, large_sum.data(), overflown.data());
    CHECK(large_sum[3] == 2e200);
    CHECK(overflown[1] == inf);
    CHECK(overflown[3] == inf);
}
