// Many scenarios: each equal to its cascade, the same on any number of threads, and stopped by its progress.
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "books.hpp"
#include "flushpoint/random_book.hpp"
#include "impacts.hpp"

namespace fp = flushpoint;

namespace {

struct Questions {
    std::vector<double> shock, sell, liquidity;

    explicit Questions(std::size_t count) {
        tests::Generator random(3);
        for (std::size_t i = 0; i < count; ++i) {
            shock.push_back(random.between(-0.3, 0.3));
            sell.push_back(random.between(-20.0, 20.0));
            liquidity.push_back(random.between(0.3, 3.0));
        }
    }
    fp::Scenarios view() const {
        return {{shock.data(), 1}, {sell.data(), 1}, {liquidity.data(), 1}, 0.1, shock.size()};
    }
};

struct Columns {
    std::vector<double> numbers[6];
    std::vector<std::int64_t> counts[3];
    std::size_t size;
    std::unique_ptr<bool[]> exhausted, runaway;

    explicit Columns(std::size_t n) : size(n), exhausted(new bool[n]), runaway(new bool[n]) {
        for (auto& column : numbers) column.resize(n);
        for (auto& column : counts) column.resize(n);
    }
    fp::StressColumns view() {
        return {numbers[0].data(), numbers[1].data(), numbers[2].data(), numbers[3].data(),
                exhausted.get(), counts[0].data(), counts[1].data(), counts[2].data()};
    }
    fp::RandomColumns random_view() { return {view(), numbers[4].data(), numbers[5].data(), runaway.get()}; }
    bool same(const Columns& other) const {
        bool equal = true;
        for (std::size_t i = 0; i < size; ++i) {
            equal = equal && exhausted[i] == other.exhausted[i];
            for (int c = 0; c < 6; ++c) {
                const double a = numbers[c][i], b = other.numbers[c][i];
                equal = equal && (fp::math::bits_of(a) == fp::math::bits_of(b));
            }
            for (int c = 0; c < 3; ++c) equal = equal && counts[c][i] == other.counts[c][i];
        }
        return equal;
    }
};

const std::vector<double> count_law{0.05}, size_law{0.5, 1.0};

fp::RandomBook random_book(double most_closed) {
    const fp::LawData distance{fp::LawKind::exponential, count_law.data(), 1};
    const fp::LawData size{fp::LawKind::log_normal, size_law.data(), 2};
    fp::RandomBook book{{}, 17, most_closed};
    for (const bool shorts : {false, true}) {
        book.positions.push_back({shorts, 300.0, 0.0, 0.0, fp::Law(distance), fp::Law(size)});
        book.positions.push_back({shorts, -1.0, 1e3, 0.2, fp::Law(distance), fp::Law(distance)});
    }
    return book;
}

}  // namespace

TEST_CASE("each scenario is its cascade") {
    tests::Generator random(1);
    const tests::SortedBook book(tests::random_positions(random, 500, 100.0, 0.4, 100.0));
    const Questions questions(301);
    for (const tests::Impact& impact : tests::one_of_each()) {
        CAPTURE(impact.name);
        const fp::MarketData market = impact.market(100.0, 1e-4, 0.001);
        Columns first(questions.shock.size());
        fp::stress(book.view(), market, questions.view(), first.view(), 1, [](std::size_t) {});
        bool equal = true;
        for (std::size_t i = 0; i < first.size; ++i) {
            std::vector<fp::Wave> waves;
            const auto one = fp::cascade(book.view(), market, questions.view()[i], waves);
            equal = equal && one.final_price == first.numbers[0][i] && one.waves == first.counts[0][i];
        }
        CHECK(equal);
        for (const int threads : {2, 7}) {
            Columns other(questions.shock.size());
            fp::stress(book.view(), market, questions.view(), other.view(), threads, [](std::size_t) {});
            CHECK(other.same(first));
        }
    }
}

TEST_CASE("random books on any number of threads") {
    const tests::Impact impact = tests::linear(0.001);
    const Questions questions(301);
    const fp::RandomBook book = random_book(500.0);
    Columns first(questions.shock.size());
    fp::stress(book, impact.market(100.0), questions.view(), first.random_view(), 1, [](std::size_t) {});
    for (std::size_t i = 0; i < first.size; ++i) CHECK(first.counts[1][i] + first.counts[2][i] <= 500);
    for (const int threads : {2, 7}) {
        Columns other(questions.shock.size());
        std::size_t last = 0;
        fp::stress(book, impact.market(100.0), questions.view(), other.random_view(), threads,
                   [&](std::size_t done) { last = done; });
        CHECK(other.same(first));
        CHECK(last == questions.shock.size());
    }
}

TEST_CASE("what random books uncover is what closed, and on any number of threads the same") {
    const tests::Impact impact = tests::linear(0.001);
    const Questions questions(301);
    const fp::RandomBook book = random_book(500.0);
    const std::size_t n = questions.shock.size();
    Columns columns(n);
    fp::stress(book, impact.market(100.0), questions.view(), columns.random_view(), 1, [](std::size_t) {});
    std::vector<fp::Uncovered> longs(n), shorts(n);
    for (const int threads : {1, 2, 7}) {
        std::vector<fp::Uncovered> other_longs(n), other_shorts(n);
        fp::stress_uncovered(book, impact.market(100.0), questions.view(), other_longs.data(), other_shorts.data(), threads,
                             [](std::size_t) {});
        if (threads == 1) {
            longs = other_longs;
            shorts = other_shorts;
        }
        CHECK(std::memcmp(longs.data(), other_longs.data(), n * sizeof(fp::Uncovered)) == 0);
        CHECK(std::memcmp(shorts.data(), other_shorts.data(), n * sizeof(fp::Uncovered)) == 0);
    }
    for (std::size_t i = 0; i < n; ++i) {
        const double found = longs[i].count + shorts[i].count;
        const auto closed = static_cast<double>(columns.counts[1][i] + columns.counts[2][i]);
        const bool went_on = longs[i].to > longs[i].from || shorts[i].to > shorts[i].from;
        CHECK(went_on == columns.runaway[i]);
        CHECK((columns.runaway[i] ? found <= closed : found == closed));
    }
}

TEST_CASE("progress that throws stops every thread, even inside a scenario") {
    const tests::Impact impact = tests::linear(0.001);
    const Questions questions(64);
    fp::RandomBook book = random_book(0x1p50);
    for (fp::RandomPositions& one : book.positions) one.count = 0x1p50;
    for (const int threads : {1, 2, 5}) {
        Columns columns(questions.shock.size());
        CHECK_THROWS_WITH_AS(fp::stress(book, impact.market(100.0), questions.view(), columns.random_view(), threads,
                                        [](std::size_t) { throw std::runtime_error("enough"); }),
                             "enough", std::runtime_error);
    }
}
