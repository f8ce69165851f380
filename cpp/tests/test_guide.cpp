// Searches of many cascades at once, on every instruction set, against a plain scan.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "books.hpp"
#include "flushpoint/guide.hpp"
#include "flushpoint/kernels.hpp"
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

// Holds all kernels to a scan of the sides, from random places of them at random prices within `reach` of the market's, and
// what a wave then comes to, to the market's own rules.
void hold(const fp::BookView& book, const fp::GuideView& long_guide, const fp::GuideView& short_guide,
          const fp::MarketData& data, double reach, tests::Generator& random) {
    const auto searches = std::make_unique<fp::Searches>(fp::SearchedSide(book.longs, long_guide),
                                                         fp::SearchedSide(book.shorts, short_guide));
    const auto before = std::make_unique<fp::Searches>(*searches);
    for (std::size_t count : {1u, 5u, 64u, static_cast<unsigned>(fp::Searches::most)}) {
        before->count = count;
        std::vector<std::size_t> closed(count);
        for (std::size_t i = 0; i < count; ++i) {
            const bool is_short = random.below(2) == 0;
            const double sign = is_short ? -1.0 : 1.0;
            const fp::SideView& side = is_short ? book.shorts : book.longs;
            before->enter(i, is_short);
            before->mark_displacement[i] = random.below(20) == 0 ? sign * fp::math::infinity : sign * 0.1 * reach * random.uniform();
            before->log_start[i] = fp::math::log(price) - sign * random.between(-0.1, 1.0) * reach;
            if (side.count > 0 && random.below(4) == 0) {  // where a trigger stands
                before->mark_displacement[i] = 0.0;
                before->log_start[i] = fp::math::log(side.trigger[random.below(side.count)]);
            }
            closed[i] = random.below(3) == 0 ? random.below(side.count + 1) : 0;
            before->closed[i] = static_cast<double>(closed[i]);
            before->quantity[i] = side.quantity_sum[closed[i]];
            for (double* column : {before->outside, before->recovered, before->others, before->sold, before->recovering,
                                   before->displacement, before->highest, before->lowest}) {
                column[i] = random.between(-1.0, 1.0);
            }
            before->waves[i] = static_cast<double>(random.below(3));
        }
        for (std::size_t k = 0; k < fp::available_kernels().count; ++k) {
            const fp::Kernels& kernel = *fp::available_kernels().items[k];
            *searches = *before;
            kernel.search_ends(*searches);
            std::size_t ended = 0;
            for (std::size_t i = 0; i < count; ++i) {
                const bool is_short = before->is_short[i] != 0;
                const fp::SideView& side = is_short ? book.shorts : book.longs;
                const double start = fp::math::exp(before->log_start[i]);
                const double factor = fp::math::exp(before->mark_displacement[i]);
                REQUIRE(searches->start[i] == start);
                REQUIRE(searches->end[i] == scan(side, is_short, closed[i], factor, start));
                if (searches->end[i] != closed[i]) continue;
                REQUIRE(searches->through[ended++] == i);
                if (searches->end[i] < side.count) {
                    REQUIRE(searches->log_next[i] == fp::math::log(side.trigger[searches->end[i]]));
                }
            }
            REQUIRE(searches->ended == ended);
            kernel.close_waves(*searches, data);
            fp::with_market(data, 1.0, [&](const auto& market) {
                for (std::size_t i = 0; i < count; ++i) {
                    const bool is_short = before->is_short[i] != 0, moved = searches->end[i] != closed[i];
                    const double quantity = (is_short ? book.shorts : book.longs).quantity_sum[searches->end[i]];
                    const double traded = (is_short ? -quantity : quantity) + before->others[i];
                    fp::State state{before->sold[i], before->recovering[i]};
                    double displacement = before->displacement[i];
                    if (moved) {
                        state = {before->outside[i] + traded, before->recovered[i] + traded};
                        displacement = market.displacement(state);
                    }
                    REQUIRE(searches->closed[i] == static_cast<double>(searches->end[i]));
                    REQUIRE(searches->quantity[i] == quantity);
                    REQUIRE(searches->waves[i] == before->waves[i] + moved);
                    REQUIRE(searches->sold[i] == state.sold);
                    REQUIRE(searches->recovering[i] == state.recovering);
                    REQUIRE(searches->displacement[i] == displacement);
                    REQUIRE(searches->mark_displacement[i] == market.mark_displacement(displacement));
                    REQUIRE(searches->highest[i] == std::max(before->highest[i], displacement));
                    REQUIRE(searches->lowest[i] == std::min(before->lowest[i], displacement));
                }
            });
        }
    }
}

}  // namespace

TEST_CASE("searches find what a scan finds, and waves trade it") {
    tests::Generator random(21);
    const std::vector<tests::Impact> impacts = tests::one_of_each();
    std::size_t turn = 0;
    for (const std::size_t count : {0, 1, 2, 9, 20, 300, 100'000}) {
        for (const double depth : {0.001, 0.3}) {
            CAPTURE(count);
            CAPTURE(depth);
            const tests::SortedBook sorted(tests::random_positions(random, count, price, depth, 1.0));
            const fp::BookView book = sorted.view();
            const auto try_guides = [&](const fp::GuideView& longs, const fp::GuideView& shorts) {
                const tests::Impact& impact = impacts[turn++ % impacts.size()];
                hold(book, longs, shorts, impact.market(price, turn % 2 == 0 ? 0.0 : 0.01, 0.0, turn % 3 == 0 ? 0.5 : 1.0), depth,
                     random);
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

TEST_CASE("a guide tells about how many are crossed") {
    tests::Generator random(22);
    tests::Positions in;
    for (std::size_t i = 0; i < 200'000; ++i) in.add(+1, 1.0, price * fp::math::exp(-0.5 * random.uniform()));
    const tests::SortedBook book(in);
    const fp::SideView side = book.longs.view();
    const fp::Guide whole(side, false, fp::math::log(price) - 1.0);
    const fp::GuideView guide = whole.view();
    for (std::size_t i = 0; i < side.count; i += 1'000) {
        const double cells = (fp::math::log(side.trigger[i]) - guide.first) * guide.scale;
        const auto cell = static_cast<std::size_t>(cells);
        REQUIRE(cells >= 0.0);
        REQUIRE(cell <= static_cast<std::size_t>(guide.last) + 1);
        CHECK(guide.crossed[cell] <= i + 50);
        CHECK(guide.crossed[cell] + 50 >= i);
    }
}
