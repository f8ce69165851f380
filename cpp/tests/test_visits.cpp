// Visits of many paths at once, on every instruction set, against a plain scan and the rules of one path.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "books.hpp"
#include "flushpoint/kernels.hpp"
#include "flushpoint/visit.hpp"
#include "flushpoint/visits.hpp"
#include "generator.hpp"
#include "impacts.hpp"

namespace fp = flushpoint;

namespace {

constexpr double price = 100.0;

std::size_t scan(const fp::SideView& side, bool shorts, std::size_t from, double factor, double start) {
    while (from < side.count && (shorts ? fp::short_crossed(side.trigger[from], factor, start)
                                        : fp::long_crossed(side.trigger[from], factor, start))) {
        ++from;
    }
    return from;
}

double next_trigger(const fp::SideView& side, bool shorts, std::size_t closed) {
    return closed < side.count ? side.trigger[closed] : shorts ? fp::math::infinity : 0.0;
}

// How often what is seldom has been seen.
struct Seen {
    std::size_t both = 0, looked = 0, traded = 0, exhausted = 0, glides = 0;
};

// Paths that stand anywhere, some of which are to begin a visit.
void scatter(fp::Visits& v, const fp::BookView& book, double reach, tests::Generator& random) {
    for (std::size_t i = 0; i < v.count; ++i) {
        v.sold[i] = random.between(-1.0, 1.0);
        v.recovering[i] = random.below(10) == 0 ? 0.0 : random.between(-1.0, 1.0);
        v.outside[i] = random.between(-1.0, 1.0);
        v.since[i] = 3.0;
        v.displacement[i] = random.between(-1.0, 1.0);
        for (int side = 0; side < 2; ++side) {
            const fp::SideView& view = side == 1 ? book.shorts : book.longs;
            const std::size_t closed = random.below(3) == 0 ? random.below(view.count + 1) : 0;
            v.closed[side][i] = static_cast<double>(closed);
            v.quantity[side][i] = view.quantity_sum[closed];
            v.next[side][i] = next_trigger(view, side == 1, closed);
            v.log_trigger[side][i] = fp::math::log(v.next[side][i]);
        }
        v.low[i] = fp::math::log(price) - reach * random.uniform();
        v.high[i] = fp::math::log(price) + reach * random.uniform();
        v.low_step[i] = 2.0;
        v.waves[i] = static_cast<double>(random.below(3));
        v.exhausted[i] = random.below(10) == 0 ? ~std::uint64_t{0} : 0;
        v.begins[i] = random.below(4) == 0 ? 0 : ~std::uint64_t{0};
        v.left[i] = random.uniform();
        v.step[i] = 7.0;
        v.log_start[i] = fp::math::log(price) + random.between(-1.0, 1.0) * reach;
        const fp::SideView& side = random.below(2) == 0 ? book.shorts : book.longs;
        if (side.count > 0 && random.below(4) == 0) {  // where a trigger stands
            v.recovering[i] = v.sold[i] = 0.0;
            v.log_start[i] = fp::math::log(side.trigger[random.below(side.count)]);
        }
        if (random.below(20) == 0) v.recovering[i] = random.between(-1e9, 1e9);  // beyond where some depths end
        if (random.below(20) == 0) {  // where both sides may be crossed
            v.recovering[i] = v.sold[i] = 0.0;
            v.log_trigger[0][i] = v.log_trigger[1][i] = v.log_start[i];
        }
        v.both[i] = v.may_cross[i] = v.is_short[i] = 0;
        v.before[i] = v.recovered[i] = v.waves_here[i] = v.mark_displacement[i] = v.highest[i] = v.lowest[i] = 0.0;
    }
}

// What one path makes of a visit, wave by wave.
template <class Market>
struct OneVisit {
    const fp::Visits& v;
    const Market& market;
    const fp::BookView& book;
    std::size_t i;
    fp::State before{v.sold[i], v.recovering[i]};
    fp::Trading trading{v.outside[i], {v.sold[i], v.recovering[i] * v.left[i]}};
    double quantity[2] = {v.quantity[0][i], v.quantity[1][i]};
    std::size_t closed[2] = {static_cast<std::size_t>(v.closed[0][i]), static_cast<std::size_t>(v.closed[1][i])};
    double recovered = trading.state.recovering - (quantity[0] - quantity[1]);
    bool falls, rises;

    OneVisit(const fp::Visits& visits, const Market& m, const fp::BookView& b, std::size_t place)
        : v(visits), market(m), book(b), i(place) {
        trading.update(market);
        trading.highest = trading.lowest = trading.displacement;
        falls = fp::falls_to(v.log_start[i], v.log_trigger[0][i], market.mark_displacement(trading.displacement));
        rises = fp::rises_to(v.log_start[i], v.log_trigger[1][i], market.mark_displacement(trading.displacement));
    }
    const fp::SideView& side() const { return rises ? book.shorts : book.longs; }
    std::size_t end() const {
        if (!falls && !rises) return closed[0];
        return scan(side(), rises, closed[rises], market.mark_factor(trading.displacement), fp::math::exp(v.log_start[i]));
    }
    // The wave that ends there.
    void close(std::size_t to) {
        closed[rises] = to;
        quantity[rises] = side().quantity_sum[to];
        const double all = quantity[0] - quantity[1];
        trading.close(all, recovered + all, market);
    }
};

void require_state(const fp::Visits& v, std::size_t i, fp::State state, double displacement) {
    REQUIRE(v.sold[i] == state.sold);
    REQUIRE(v.recovering[i] == state.recovering);
    REQUIRE(v.displacement[i] == displacement);
}

// Holds a visit that has found nothing more to what one path leaves.
template <class Market>
void require_end(const fp::Visits& v, const fp::Visits& old, const OneVisit<Market>& one) {
    const std::size_t i = one.i;
    const bool traded = one.trading.waves > 0;
    require_state(v, i, traded ? one.trading.state : one.before, one.trading.displacement);
    REQUIRE(v.since[i] == (traded ? 7.0 : 3.0));
    REQUIRE(v.waves[i] == old.waves[i] + static_cast<double>(one.trading.waves));
    double log_trigger[2];
    for (int side = 0; side < 2; ++side) {
        const fp::SideView& view = side == 1 ? one.book.shorts : one.book.longs;
        REQUIRE(v.closed[side][i] == static_cast<double>(one.closed[side]));
        REQUIRE(v.quantity[side][i] == one.quantity[side]);
        REQUIRE(v.next[side][i] == next_trigger(view, side == 1, one.closed[side]));
        log_trigger[side] = fp::math::log(v.next[side][i]);
        REQUIRE(v.log_trigger[side][i] == log_trigger[side]);
    }
    fp::Extremes<double> extremes{old.low[i], old.high[i], old.low_step[i]};
    extremes.meet(true, v.log_start[i], one.trading.highest, one.trading.lowest, 7.0);
    REQUIRE(v.low[i] == extremes.low);
    REQUIRE(v.high[i] == extremes.high);
    REQUIRE(v.low_step[i] == extremes.low_step);
    const bool infinite = fp::infinite(one.trading.highest) || fp::infinite(one.trading.lowest);
    REQUIRE((v.exhausted[i] != 0) == (infinite || old.exhausted[i] != 0));
    const double now = one.trading.displacement, rest = v.lasts ? now : one.market.permanent_displacement(v.sold[i]);
    const fp::Course<double> course(now, rest);
    fp::Bounds<double> bounds(one.market, log_trigger[0], log_trigger[1], course);
    REQUIRE((v.glides[i] != 0) == (now == rest && !fp::infinite(now)));
    bounds.keep_within(v.glides[i] == 0, extremes, course);
    REQUIRE(v.lower[i] == bounds.lower);
    REQUIRE(v.upper[i] == bounds.upper);
}

// Holds all kernels to it, from random places of the book at random prices within `reach` of the market's.
void hold(const fp::BookView& book, const fp::GuideView& long_guide, const fp::GuideView& short_guide,
          const fp::MarketData& data, double reach, tests::Generator& random, Seen& seen) {
    const auto v = std::make_unique<fp::Visits>(fp::SearchedSide(book.longs, false, long_guide),
                                                fp::SearchedSide(book.shorts, true, short_guide), random.below(3) == 0);
    const auto old = std::make_unique<fp::Visits>(*v);
    for (std::size_t count : {1u, 5u, 64u, static_cast<unsigned>(fp::Visits::most)}) {
        old->count = count;
        scatter(*old, book, reach, random);
        for (std::size_t k = 0; k < fp::available_kernels().count; ++k) {
            const fp::Kernels& kernel = *fp::available_kernels().items[k];
            *v = *old;
            fp::with_market(data, 1.0, [&](const auto& market) {
                using One = OneVisit<std::decay_t<decltype(market)>>;
                std::vector<One> ones;
                const bool any = kernel.begin_visits(*v, data);
                std::size_t boths = 0;
                for (std::size_t i = 0; i < count; ++i) {
                    One one(*old, market, book, i);
                    const bool both = one.falls && one.rises && old->begins[i] != 0;
                    boths += both;
                    seen.both += both;
                    REQUIRE((v->both[i] != 0) == both);
                    REQUIRE(v->begins[i] == 0);
                    if (both || old->begins[i] == 0) {
                        require_state(*v, i, one.before, old->displacement[i]);
                        continue;
                    }
                    REQUIRE(v->is_short[i] == std::uint64_t{one.rises});
                    require_state(*v, i, one.trading.state, one.trading.displacement);
                    ones.push_back(one);
                }
                REQUIRE(any == (boths > 0));
                while (!ones.empty()) {
                    kernel.search_ends(*v);
                    kernel.close_waves(*v, data);
                    std::vector<One> left;
                    std::vector<std::size_t> through(v->through, v->through + v->ended);
                    for (One& one : ones) {
                        const std::size_t i = one.i, end = one.end();
                        REQUIRE(v->start[i] == fp::math::exp(v->log_start[i]));
                        REQUIRE(v->end[i] == end);
                        const bool ends = std::binary_search(through.begin(), through.end(), i);
                        REQUIRE(ends == (end == one.closed[one.rises]));
                        if (ends) {
                            require_end(*v, *old, one);
                            ++(one.trading.waves > 0 ? seen.traded : seen.looked);
                            seen.exhausted += v->exhausted[i] != old->exhausted[i];
                            seen.glides += v->glides[i] != 0;
                            continue;
                        }
                        one.close(end);
                        require_state(*v, i, one.trading.state, one.trading.displacement);
                        REQUIRE(v->mark_displacement[i] == market.mark_displacement(one.trading.displacement));
                        left.push_back(one);
                    }
                    ones.swap(left);
                }
            });
        }
    }
}

}  // namespace

TEST_CASE("visits side by side are those of single paths") {
    tests::Generator random(21);
    const std::vector<tests::Impact> impacts = tests::one_of_each();
    std::size_t turn = 0;
    Seen seen;
    for (const std::size_t count : {0, 1, 2, 9, 20, 300, 100'000}) {
        for (const double depth : {0.001, 0.3}) {
            CAPTURE(count);
            CAPTURE(depth);
            const tests::SortedBook sorted(tests::random_positions(random, count, price, depth, 1.0));
            const fp::BookView book = sorted.view();
            const auto try_guides = [&](const fp::GuideView& longs, const fp::GuideView& shorts) {
                const tests::Impact& impact = impacts[turn++ % impacts.size()];
                const double permanent = turn % 2 == 0 ? 0.0 : 0.01, mark_weight = turn % 3 == 0 ? 0.5 : 1.0;
                hold(book, longs, shorts, impact.market(price, permanent, 0.0, mark_weight), depth, random, seen);
            };
            for (const double part : {0.0, 0.2, 1.0, 3.0}) {
                const fp::Guide longs(book.longs, false, fp::math::log(price) - part * depth);
                const fp::Guide shorts(book.shorts, true, fp::math::log(price) + part * depth);
                try_guides(longs.view(), shorts.view());
            }
            const fp::Guide none;
            try_guides(none.view(), none.view());
        }
    }
    for (const std::size_t times : {seen.both, seen.looked, seen.traded, seen.exhausted, seen.glides}) CHECK(times > 100);
}

TEST_CASE("nothing is crossed where no position is left, even at a price of 0 or inf") {
    tests::Positions in;
    for (int i = 0; i < 3; ++i) {
        in.add(+1, 1.0, 99.0 - i);
        in.add(-1, 1.0, 101.0 + i);
    }
    const tests::SortedBook sorted(in);
    const fp::BookView book = sorted.view();
    const fp::Guide none;
    const tests::Impact impact = tests::linear(1e-3);
    tests::Generator random(3);
    for (std::size_t k = 0; k < fp::available_kernels().count; ++k) {
        const fp::Kernels& kernel = *fp::available_kernels().items[k];
        const auto v = std::make_unique<fp::Visits>(fp::SearchedSide(book.longs, false, none.view()),
                                                    fp::SearchedSide(book.shorts, true, none.view()), false);
        v->count = 2;
        scatter(*v, book, 0.1, random);
        for (std::size_t i = 0; i < 2; ++i) {
            for (int side = 0; side < 2; ++side) {
                v->closed[side][i] = v->quantity[side][i] = 0.0;
                v->next[side][i] = next_trigger(side == 1 ? book.shorts : book.longs, side == 1, 0);
                v->log_trigger[side][i] = fp::math::log(v->next[side][i]);
            }
            v->begins[i] = ~std::uint64_t{0};
            v->sold[i] = v->recovering[i] = v->outside[i] = 0.0;
            v->log_start[i] = i == 0 ? -800.0 : 800.0;
        }
        REQUIRE(!kernel.begin_visits(*v, impact.market(price)));
        for (int round = 0; round < 2; ++round) {
            kernel.search_ends(*v);
            REQUIRE(v->end[0] == 3);
            REQUIRE(v->end[1] == 3);
            kernel.close_waves(*v, impact.market(price));
        }
        REQUIRE(v->ended == 2);
    }
}

TEST_CASE("who takes another's place brings everything along") {
    const fp::SideView nobody{};
    const fp::Guide none;
    const fp::SearchedSide longs(nobody, false, none.view()), shorts(nobody, true, none.view());
    const auto v = std::make_unique<fp::Visits>(longs, shorts, false);
    // Columns lie one after the other.
    auto* first = reinterpret_cast<unsigned char*>(&v->sold);
    auto* last = reinterpret_cast<unsigned char*>(&v->lowest);
    constexpr std::size_t column = (sizeof(fp::Visits::Numbers) + 63) / 64 * 64;
    const auto number = [](unsigned char* at, std::size_t i) { return at + i * sizeof(double); };
    for (unsigned char* at = first; at <= last; at += column) {
        for (std::size_t i = 0; i < 8; ++i) std::memset(number(at, i), i == 7 ? 2 : 1, sizeof(double));
    }
    v->count = 8;
    v->drop(3);
    REQUIRE(v->count == 7);
    std::size_t columns = 0;
    for (unsigned char* at = first; at <= last; at += column) {
        CAPTURE(columns);
        CHECK(*number(at, 3) == 2);
        CHECK(*number(at, 4) == 1);
        ++columns;
    }
    CHECK(columns > 20);
}

TEST_CASE("the first number outside is found") {
    tests::Generator random(23);
    for (std::size_t k = 0; k < fp::available_kernels().count; ++k) {
        const fp::Kernels& kernel = *fp::available_kernels().items[k];
        for (int round = 0; round < 2'000; ++round) {
            double numbers[fp::block_steps];
            for (double& x : numbers) x = random.between(-1.0, 1.0);
            const int count = static_cast<int>(random.below(fp::block_steps + 1));
            const int from = static_cast<int>(random.below(static_cast<std::size_t>(count) + 1));
            double lower = -random.uniform(), upper = random.uniform();
            if (random.below(3) == 0) lower = -1.0 - random.uniform();
            if (random.below(3) == 0) upper = fp::math::infinity;
            if (count > 0 && random.below(3) == 0) lower = numbers[random.below(static_cast<std::size_t>(count))];
            int expected = from;
            while (expected < count && numbers[expected] > lower && numbers[expected] < upper) ++expected;
            REQUIRE(kernel.first_outside(numbers, from, count, lower, upper) == expected);
        }
    }
}
