// A guide, where it leads.
#include <doctest/doctest.h>

#include <cstddef>

#include "books.hpp"
#include "flushpoint/guide.hpp"
#include "flushpoint/math.hpp"
#include "generator.hpp"

namespace fp = flushpoint;

TEST_CASE("a guide tells about how many are crossed") {
    tests::Generator random(22);
    constexpr double price = 100.0;
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
