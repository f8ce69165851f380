// Known answers of the generators; the normal law and the samplers against the C library's functions.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "flushpoint/normal.hpp"
#include "flushpoint/samplers.hpp"

namespace math = flushpoint::math;
namespace random_ = flushpoint::random;
using random_::Stream;
using random_::Words;

namespace {

void check_words(Words got, Words wanted) {
    for (int i = 0; i < 4; ++i) CHECK(got.w[i] == wanted.w[i]);
}

// Chi-square of counts 0, 1, ... against probabilities, bins that expect less than 25 joined with the next.
template <class Draw, class Mass>
void check_counts(int draws, int most, Draw&& draw, Mass&& mass) {
    std::vector<double> seen(static_cast<std::size_t>(most) + 1);
    for (int i = 0; i < draws; ++i) seen[static_cast<std::size_t>(std::min<double>(draw(), most))] += 1.0;
    double statistic = 0.0, bins = 0.0, observed = 0.0, expected = 0.0, rest = draws;
    for (int k = 0; k <= most; ++k) {
        const double here = k < most ? draws * mass(k) : rest;
        rest -= here;
        observed += seen[static_cast<std::size_t>(k)];
        expected += here;
        if (expected < 25.0 && k < most) continue;
        if (expected < 1.0) continue;  // the far end
        statistic += (observed - expected) * (observed - expected) / expected;
        bins += 1.0;
        observed = expected = 0.0;
    }
    // Wilson and Hilferty's approximation; 4.5 deviations
    const double z = (std::cbrt(statistic / bins) - (1.0 - 2.0 / (9.0 * bins))) / std::sqrt(2.0 / (9.0 * bins));
    CHECK(z < 4.5);
}

}  // namespace

TEST_CASE("philox known answers") {
    check_words(random_::philox({{0, 0, 0, 0}}, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
    check_words(random_::philox({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffffffffffff),
                {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
    check_words(random_::philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822),
                {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST_CASE("xoshiro256++ known answers") {
    random_::Generator<std::uint64_t> g{{1, 2, 3, 4}};
    for (const std::uint64_t wanted : {41943041ull, 58720359ull, 3588806011781223ull, 3591011842654386ull,
                                       9228616714210784205ull, 9973669472204895162ull, 14011001112246962877ull,
                                       12406186145184390807ull, 15849039046786891736ull, 10450023813501588000ull}) {
        CHECK(g.next() == wanted);
    }
}

TEST_CASE("generators in vectors are aligned alike by every instruction set and compiler") {
    CHECK(alignof(random_::Generator<random_::Word4>) == sizeof(random_::Word4));
}

TEST_CASE("lanes are the generators of their numbers") {
    random_::Generator<random_::Word4> lanes;
    random_::Generator<std::uint64_t> alone[4];
    for (std::uint32_t lane = 0; lane < 4; ++lane) {
        alone[lane] = random_::generator(5, 7, Stream::book, lane);
        for (int i = 0; i < 4; ++i) lanes.s[i][lane] = alone[lane].s[i];
    }
    for (int i = 0; i < 100; ++i) {
        const auto [a, b] = random_::normals<random_::Double4>(lanes);
        for (int lane = 0; lane < 4; ++lane) {
            const auto [x, y] = random_::normals<double>(alone[lane]);
            CHECK(a[lane] == x);
            CHECK(b[lane] == y);
        }
    }
    CHECK(random_::generator(5, 7, Stream::book).next() != random_::generator(5, 7, Stream::details).next());
    CHECK(random_::generator(5, 7, Stream::book).next() != random_::generator(5, 8, Stream::book).next());
    CHECK(random_::generator(5, 7, Stream::book).next() != random_::generator(5, 7, Stream::book, 1).next());
}

TEST_CASE("normal distribution function") {
    double most = 0.0;
    for (double x = 0.0; x < 37.0; x += 1.0 / 512.0 + 1e-5) {
        const long double exact = 0.5L * std::erfc(static_cast<long double>(x) / std::sqrt(2.0L));
        most = std::max(most, static_cast<double>(std::fabs(math::normal_tail(x) / exact - 1.0L)));
        CHECK(math::normal_cdf(-x) == math::normal_tail(x));
    }
    CHECK(most < 10 * 0x1p-53);
    CHECK(math::normal_cdf(0.0) == 0.5);
    CHECK(math::normal_cdf(math::infinity) == 1.0);
    CHECK(math::normal_cdf(-math::infinity) == 0.0);
}

TEST_CASE("normal quantiles") {
    for (double p = 1e-290; p < 0.5; p *= 1.37) {
        const double z = math::normal_quantile(p);
        // What one rounding of z does to the probability
        CHECK(std::fabs(math::normal_cdf(z) / p - 1.0) < 1e-15 * (10.0 + z * z));
        if (p > 1e-10) CHECK(math::normal_quantile(1.0 - p) == doctest::Approx(-z).epsilon(1e-5));
    }
    CHECK(std::fabs(math::normal_quantile(0.5)) < 1e-16);
    CHECK(math::normal_quantile(0.975) == doctest::Approx(1.959963984540054).epsilon(1e-15));
}

TEST_CASE("poisson numbers") {
    for (const double mean : {0.01, 0.7, 3.0, 9.99, 10.0, 35.0, 400.0}) {
        auto g = random_::generator(1, 0, Stream::book);
        check_counts(200'000, static_cast<int>(mean + 12 * std::sqrt(mean) + 12), [&] { return random_::poisson(g, mean); },
                     [&](int k) { return std::exp(k * std::log(mean) - mean - std::lgamma(k + 1.0)); });
    }
}

TEST_CASE("binomial numbers") {
    const struct {
        double n, p;
    } cases[] = {{1, 0.3}, {20, 0.4}, {20, 0.9}, {1000, 0.004}, {1000, 0.05}, {1000, 0.97}, {200, 0.5}, {1e9, 3e-8}};
    for (const auto [n, p] : cases) {
        auto g = random_::generator(2, 0, Stream::book);
        const double mean = n * p, deviation = std::sqrt(n * p * (1 - p));
        check_counts(200'000, static_cast<int>(std::min(n, mean + 12 * deviation + 12)),
                     [&, n = n, p = p] { return random_::binomial(g, n, p); },
                     [n = n, p = p](int k) {
                         return std::exp(std::lgamma(n + 1) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1) +
                                         k * std::log(p) + (n - k) * std::log1p(-p));
                     });
    }
}

TEST_CASE("numbers far beyond what could be counted") {
    auto g = random_::generator(3, 0, Stream::book);
    const int draws = 20'000;
    for (const double mean : {1e6, 1e9, 1e13}) {
        double sum = 0.0, squares = 0.0, other = 0.0, other_squares = 0.0;
        for (int i = 0; i < draws; ++i) {
            const double z = (random_::poisson(g, mean) - mean) / std::sqrt(mean);
            const double y = (random_::binomial(g, 4.0 * mean, 0.25) - mean) / std::sqrt(0.75 * mean);
            sum += z;
            squares += z * z;
            other += y;
            other_squares += y * y;
        }
        for (const double s : {sum, other}) CHECK(std::fabs(s / draws) < 4.5 / std::sqrt(draws));
        for (const double s : {squares, other_squares}) CHECK(std::fabs(s / draws - 1) < 4.5 * std::sqrt(2.0 / draws));
    }
    CHECK(random_::poisson(g, math::infinity) == random_::most_counted);
    CHECK(random_::poisson(g, 0.0) == 0.0);
    CHECK(random_::poisson(g, -1.0) == 0.0);
    CHECK(random_::binomial(g, 7.0, 1.0) == 7.0);
    CHECK(random_::binomial(g, 7.0, 0.0) == 0.0);
    CHECK(random_::binomial(g, 0.0, 0.5) == 0.0);
}

TEST_CASE("sums of exponential numbers") {
    auto g = random_::generator(4, 0, Stream::book);
    const int draws = 100'000;
    for (const double n : {1.0, 2.0, 8.0, 9.0, 30.0, 1e4, 1e9}) {
        double sum = 0.0, squares = 0.0, cubes = 0.0;
        for (int i = 0; i < draws; ++i) {
            const double z = (random_::gamma(g, n) - n) / std::sqrt(n);
            sum += z;
            squares += z * z;
            cubes += z * z * z;
        }
        // Moments of the standardised law: skewness 2 / sqrt(n), kurtosis 3 + 6 / n, and so on
        CHECK(std::fabs(sum / draws) < 4.5 / std::sqrt(draws));
        CHECK(std::fabs(squares / draws - 1.0) < 4.5 * std::sqrt((2.0 + 6.0 / n) / draws));
        const double sixth = 15.0 + 130.0 / n + 120.0 / (n * n);
        CHECK(std::fabs(cubes / draws - 2.0 / std::sqrt(n)) < 4.5 * std::sqrt((sixth - 4.0 / n) / draws));
    }
}
