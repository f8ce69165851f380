// The hidden book by hand, and what holds of any history.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "flushpoint/hidden_book.hpp"
#include "flushpoint/math.hpp"
#include "generator.hpp"
#include "histories.hpp"

namespace fp = flushpoint;
using tests::Classes;
using tests::History;

namespace {

constexpr double inf = fp::math::infinity;
constexpr double cell = 2.5e-4;
constexpr fp::FlowRule usual{0.04, 1.25, 4.0, cell, 24}, without_turnover{1e-300, 1.25, 4.0, cell, 24};

const Classes mixed{{0.5, 0.3, 0.2}, {{0.3, 0.05, 0.006}, {0.25, 0.048, 0.0055}}};

Classes one(double distance) { return {{1.0}, {{distance}, {distance}}}; }

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

double log_price(const fp::HiddenBook& book, std::size_t i) {
    return static_cast<double>(book.first_cell + static_cast<std::ptrdiff_t>(i)) * cell;
}

fp::HiddenBook infer(const History& history, const Classes& classes, const fp::FlowRule& rule) {
    return fp::infer_book(history.view(), classes.view(), rule, {});
}

}  // namespace

TEST_CASE("one row opens its open interest a distance away") {
    History history;
    history.add_flat(100.0, 1e6);
    const fp::HiddenBook book = infer(history, one(0.1), usual);
    for (int side = 0; side < 2; ++side) {
        const double trigger = std::log(100.0) - (side == 0 ? 0.1 : -0.1);
        CHECK(book.liquidated[side] == std::vector<double>{0.0});
        CHECK(sum(book.quantity[side]) == doctest::Approx(1e4));
        double middle = 0.0;
        for (std::size_t i = 0; i < book.cells; ++i) {
            if (book.quantity[side][i] > 0.0) CHECK(std::abs(log_price(book, i) - trigger) < cell);
            middle += book.quantity[side][i] * log_price(book, i) / 1e4;
        }
        CHECK(middle == doctest::Approx(trigger).epsilon(1e-12));
    }
}

TEST_CASE("a fall through the triggers liquidates the longs at them, a rise the shorts") {
    for (const bool falls : {true, false}) {
        History history;
        history.add_flat(100.0, 1e6);
        const double end = falls ? 80.0 : 125.0;
        history.add(100.0, end, std::max(100.0, end), std::min(100.0, end), 1e4 * end);
        const fp::HiddenBook book = infer(history, one(0.1), without_turnover);
        const int hit = falls ? 0 : 1;
        CHECK(book.liquidated[hit][1] == doctest::Approx(1e6 * std::exp(falls ? -0.1 : 0.1)).epsilon(1e-7));
        CHECK(book.liquidated[1 - hit][1] < 1e-200);
        CHECK(sum(book.quantity[hit]) < 1e-200);  // what was liquidated is not replaced
        CHECK(sum(book.quantity[1 - hit]) == doctest::Approx(1e4));
    }
}

TEST_CASE("what closes on the way is not liquidated") {
    // One hour of 20 %: business time is 20, the rate 0.1 * 0.01 / 0.1 an hour. The path goes straight down, all but
    // certainly, and meets the trigger after half its way.
    History history;
    history.add_flat(1.0, 1.0);
    history.add(1.0, std::exp(-0.2), 1.0, std::exp(-0.2), std::exp(-0.2));
    const fp::HiddenBook book = infer(history, one(0.1), {0.1, 1.0, 100.0, cell, 24});
    const double closing = 0.01 * 20.0, left = std::exp(-0.5 * closing), trigger = std::exp(-0.1);
    // What opens on the first half is met half a path later, at triggers from -0.1 to -0.2.
    const double opened = closing * left * trigger * (1.0 - std::exp(-0.1)) / 0.2;
    CHECK(book.liquidated[0][1] == doctest::Approx(left * trigger + opened).epsilon(1e-3));
    // What opens on the second half is there at the end, but for those that are near to their trigger by then.
    CHECK(sum(book.quantity[0]) < 1.0 - left);
    CHECK(sum(book.quantity[0]) > 0.5 * (1.0 - left));
}

TEST_CASE("a fall of open interest closes all alike, growth opens over the row's range") {
    History history;
    history.add_flat(100.0, 1e6);
    history.add_flat(100.0, 4e5);
    const fp::HiddenBook halved = infer(history, mixed, usual);
    for (int side = 0; side < 2; ++side) CHECK(sum(halved.quantity[side]) == doctest::Approx(4e3));
    history.add(100.0, 100.0, 101.0, 99.0, 6e5);
    const fp::HiddenBook grown = infer(history, mixed, without_turnover);
    for (int side = 0; side < 2; ++side) {
        // The row crosses the 800 of the last class, which growth replaces by its own share alone. The first class stood
        // far away: a third of it is new, as wide apart as the row.
        double least = inf, most = -inf;
        for (std::size_t i = 0; i < grown.cells; ++i) {  // of the first class
            if (grown.quantity[side][i] == 0.0) continue;
            least = std::min(least, log_price(grown, i));
            most = std::max(most, log_price(grown, i));
        }
        CHECK(sum(grown.quantity[side]) == doctest::Approx(5.2e3).epsilon(1e-6));
        CHECK(most - least == doctest::Approx(std::log(101.0 / 99.0)).epsilon(0.1));
    }
}

TEST_CASE("what can never be liquidated is not kept") {
    tests::Generator random(3);
    const History history = tests::random_history(random, 50, 0.2);
    const Classes never{{1.0}, {{inf}, {10.0}}};
    const fp::HiddenBook book = infer(history, never, usual);
    for (int side = 0; side < 2; ++side) {
        CHECK(sum(book.quantity[side]) == 0.0);
        CHECK(sum(book.liquidated[side]) == 0.0);
    }
}

TEST_CASE("of any history") {
    tests::Generator random(4);
    for (const double size : {1e-4, 0.01, 0.1}) {
        for (int round = 0; round < 10; ++round) {
            CAPTURE(size);
            const History history = tests::random_history(random, 60, size);
            const fp::HiddenBook book = infer(history, mixed, usual);
            const double held = history.open_interest.back() / history.close.back();
            for (int side = 0; side < 2; ++side) {
                // Never negative, and no class above its share of what is held
                CHECK(*std::min_element(book.liquidated[side].begin(), book.liquidated[side].end()) >= 0.0);
                CHECK(*std::min_element(book.quantity[side].begin(), book.quantity[side].end()) >= 0.0);
                for (std::size_t k = 0; k < 3; ++k) {
                    const auto from = book.quantity[side].begin() + static_cast<std::ptrdiff_t>(k * book.cells);
                    const double total = std::accumulate(from, from + static_cast<std::ptrdiff_t>(book.cells), 0.0);
                    CHECK(total <= mixed.share[k] * held * (1.0 + 1e-9));
                }
            }

            // A forecast sees neither its own open interest nor anything later.
            History other = history;
            for (std::size_t row = 30; row < 60; ++row) other.open_interest[row] *= 2.0;
            other.high[59] *= 1.5;
            const fp::HiddenBook changed = infer(other, mixed, usual);
            for (int side = 0; side < 2; ++side) {
                CHECK(std::equal(changed.liquidated[side].begin(), changed.liquidated[side].begin() + 31,
                                 book.liquidated[side].begin()));
                CHECK(book.liquidated[side][0] == 0.0);
            }

            // Classes do not know of each other.
            fp::HiddenBook parts = infer(history, {{0.5}, {{0.3}, {0.25}}}, usual);
            for (std::size_t k = 1; k < 3; ++k) {
                const Classes single{{mixed.share[k]}, {{mixed.distance[0][k]}, {mixed.distance[1][k]}}};
                const fp::HiddenBook part = infer(history, single, usual);
                for (int side = 0; side < 2; ++side) {
                    for (std::size_t row = 0; row < 60; ++row) parts.liquidated[side][row] += part.liquidated[side][row];
                }
            }
            for (int side = 0; side < 2; ++side) {
                for (std::size_t row = 0; row < 60; ++row) {
                    CHECK(parts.liquidated[side][row] == doctest::Approx(book.liquidated[side][row]).epsilon(1e-6));
                }
            }
        }
    }
}

TEST_CASE("longs in a falling market are shorts in a rising one") {
    tests::Generator random(5);
    History history = tests::random_history(random, 80, 0.05), mirrored;
    for (std::size_t i = 0; i < 80; ++i) {
        // In base units as before, so that quantities are equal
        const double held = history.open_interest[i] / history.close[i];
        mirrored.add(1.0 / history.open[i], 1.0 / history.close[i], 1.0 / history.low[i], 1.0 / history.high[i],
                     held / history.close[i]);
    }
    const Classes turned{mixed.share, {mixed.distance[1], mixed.distance[0]}};
    const fp::HiddenBook book = infer(history, mixed, usual), mirror = infer(mirrored, turned, usual);
    for (int side = 0; side < 2; ++side) {
        CHECK(sum(mirror.quantity[1 - side]) == doctest::Approx(sum(book.quantity[side])).epsilon(1e-6));
    }
    CHECK(sum(book.liquidated[0]) > 0.0);
    CHECK(sum(book.liquidated[1]) > 0.0);
}

TEST_CASE("the book after a row is that of a history that ends there") {
    tests::Generator random(7);
    const History history = tests::random_history(random, 90, 0.03);
    const std::vector<std::int64_t> rows{0, 41, 89};
    const fp::HiddenBook book = fp::infer_book(history.view(), mixed.view(), usual, {}, rows);
    CHECK(book.quantity[0] == infer(history, mixed, usual).quantity[0]);
    for (std::size_t k = 0; k < rows.size(); ++k) {
        fp::PriceHistory known = history.view();
        known.rows = static_cast<std::size_t>(rows[k]) + 1;
        const fp::HiddenBook then = fp::infer_book(known, mixed.view(), usual, {});
        const auto shift = static_cast<std::size_t>(then.first_cell - book.first_cell);
        for (int side = 0; side < 2; ++side) {
            const double* seen = book.seen[side].data() + k * book.cells;
            double rest = std::accumulate(seen, seen + book.cells, 0.0);
            for (std::size_t i = 0; i < then.cells; ++i) {
                double held = 0.0;
                for (std::size_t c = 0; c < mixed.share.size(); ++c) held += then.quantity[side][c * then.cells + i];
                CHECK(seen[shift + i] == doctest::Approx(held).epsilon(1e-9));
                rest -= seen[shift + i];
            }
            CHECK(rest == doctest::Approx(0.0).scale(sum(then.quantity[side])));
        }
    }
}

TEST_CASE("a poll that throws stops the work") {
    tests::Generator random(6);
    const History history = tests::random_history(random, 200, 0.01);
    int polls = 0;
    CHECK_THROWS_AS(fp::infer_book(history.view(), mixed.view(), usual,
                                   [&] {
                                       if (++polls == 2) throw std::runtime_error("stop");
                                   }),
                    std::runtime_error);
    CHECK(polls == 2);
}
