// Searches of many cascades at once, on every instruction set, against a plain scan.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "books.hpp"
#include "flushpoint/guide.hpp"
#include "flushpoint/kernels.hpp"
#include "generator.hpp"

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

// Holds all kernels to a scan of one side, from random places of it at random prices within `reach` of the market's.
void hold(const fp::SideView& side, bool shorts, const fp::GuideView& guide, double reach, tests::Generator& random) {
    const double sign = shorts ? -1.0 : 1.0;
    auto searches = std::make_unique<fp::Searches>();
    for (std::size_t count : {1u, 5u, 64u, static_cast<unsigned>(fp::Searches::most)}) {
        for (std::size_t i = 0; i < count; ++i) {
            searches->mark_displacement[i] = random.below(20) == 0 ? sign * fp::math::infinity : sign * 0.1 * reach * random.uniform();
            searches->log_start[i] = fp::math::log(price) - sign * random.between(-0.1, 1.0) * reach;
            if (side.count > 0 && random.below(4) == 0) {  // where a trigger stands
                searches->mark_displacement[i] = 0.0;
                searches->log_start[i] = fp::math::log(side.trigger[random.below(side.count)]);
            }
            searches->sign[i] = sign;
            searches->follow(i, guide);
            searches->trigger[i] = side.trigger;
            searches->quantity_sum[i] = side.quantity_sum;
            searches->positions[i] = side.count;
            searches->closed[i] = random.below(3) == 0 ? random.below(side.count + 1) : 0;
        }
        searches->count = count;
        for (std::size_t k = 0; k < fp::available_kernels().count; ++k) {
            fp::available_kernels().items[k]->search_ends(*searches);
            for (std::size_t i = 0; i < count; ++i) {
                const double start = fp::math::exp(searches->log_start[i]);
                const double factor = fp::math::exp(searches->mark_displacement[i]);
                REQUIRE(searches->start[i] == start);
                REQUIRE(searches->end[i] == scan(side, shorts, searches->closed[i], factor, start));
                if (searches->end[i] == searches->closed[i] && searches->end[i] < side.count) {
                    REQUIRE(searches->log_next[i] == fp::math::log(side.trigger[searches->end[i]]));
                }
            }
        }
    }
}

}  // namespace

TEST_CASE("searches find what a scan finds") {
    tests::Generator random(21);
    for (const std::size_t count : {0, 1, 2, 9, 20, 300, 100'000}) {
        for (const double depth : {0.001, 0.3}) {
            CAPTURE(count);
            CAPTURE(depth);
            const tests::SortedBook book(tests::random_positions(random, count, price, depth, 1.0));
            for (const bool shorts : {false, true}) {
                const fp::SideView side = (shorts ? book.shorts : book.longs).view();
                for (const double part : {0.0, 0.2, 1.0, 3.0}) {
                    const double way = part * depth;
                    const fp::Guide guide(side, shorts, fp::math::log(price) + (shorts ? way : -way));
                    hold(side, shorts, guide.view(), depth, random);
                }
                hold(side, shorts, fp::Guide().view(), depth, random);
            }
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
