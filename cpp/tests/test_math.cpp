// The elementary functions against the C library's in long double, whose own error is below 1/1000 of a double's ulp.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "flushpoint/math.hpp"
#include "generator.hpp"

namespace math = flushpoint::math;

namespace {

constexpr double inf = math::infinity;
constexpr double undefined = math::not_a_number;
constexpr double least = std::numeric_limits<double>::denorm_min();
constexpr double greatest = std::numeric_limits<double>::max();

// The error in units of the spacing of doubles at the exact value.
double ulps(double got, long double exact) {
    const double rounded = static_cast<double>(exact);
    if (got == rounded) return 0.0;
    if (!std::isfinite(got) || !std::isfinite(rounded)) return inf;
    int exponent;
    std::frexp(exact, &exponent);
    return static_cast<double>(std::fabs(got - exact) / std::ldexp(1.0L, std::max(exponent - 53, -1074)));
}

std::vector<double> grid(double low, double high, int count) {
    std::vector<double> out;
    for (int i = 0; i <= count; ++i) out.push_back(low + (high - low) * i / count);
    return out;
}
std::vector<double> random_points(double low, double high, int count) {
    tests::Generator random(1);
    std::vector<double> out;
    for (int i = 0; i < count; ++i) out.push_back(random.between(low, high));
    return out;
}
// Both signs, or only the positive, over many orders of magnitude
std::vector<double> scattered(int low, int high, int count, bool signs) {
    tests::Generator random(2);
    std::vector<double> out;
    for (int i = 0; i < count; ++i) {
        const double x = random.spread(low, high);
        out.push_back(signs && random.below(2) ? -x : x);
    }
    return out;
}

template <class Got, class Exact>
void check_ulps(double limit, Got&& got, Exact&& exact, const std::vector<double>& points) {
    double most = 0.0, where = 0.0;
    for (const double x : points) {
        const double error = ulps(got(x), exact(static_cast<long double>(x)));
        if (error > most) {
            most = error;
            where = x;
        }
    }
    INFO("at " << where);
    CHECK(most < limit);
}

// How often the function falls within `stride` doubles, at random points and across those where its formula changes.
template <class Function>
int falls(Function&& f, double low, double high, const std::vector<double>& seams, int stride = 1) {
    int count = 0;
    const auto look = [&](double x) {
        double later = x;
        for (int i = 0; i < stride; ++i) later = std::nextafter(later, inf);
        count += f(later) < f(x);
    };
    for (const double x : random_points(low, high, 100'000)) look(x);
    for (double x : seams) {
        for (int i = 0; i < 50; ++i) x = std::nextafter(x, -inf);
        for (int i = 0; i < 100; ++i, x = std::nextafter(x, inf)) look(x);
    }
    return count;
}

}  // namespace

TEST_CASE("exp") {
    const auto exact = [](long double x) { return std::exp(x); };
    const auto exp = [](double x) { return math::exp(x); };
    check_ulps(1.0, exp, exact, grid(-745.2, 709.78, 100'000));
    check_ulps(1.0, exp, exact, random_points(-1.0, 1.0, 100'000));
    check_ulps(1.0, exp, exact, scattered(-1074, 8, 100'000, true));

    CHECK(math::exp(0.0) == 1.0);
    CHECK(math::exp(-0.0) == 1.0);
    CHECK(math::exp(least) == 1.0);
    CHECK(math::exp(inf) == inf);
    CHECK(math::exp(-inf) == 0.0);
    CHECK(math::exp(greatest) == inf);
    CHECK(math::exp(-greatest) == 0.0);
    CHECK(std::isnan(math::exp(undefined)));
    // The last argument before overflow, the last before zero, and their neighbours
    CHECK(math::exp(0x1.62e42fefa39efp+9) < inf);
    CHECK(math::exp(0x1.62e42fefa39f0p+9) == inf);
    CHECK(math::exp(-0x1.74910d52d3051p+9) == least);
    CHECK(math::exp(-0x1.74910d52d3052p+9) == 0.0);
    CHECK(falls(exp, -10.0, 10.0, {-0.34657359027997264, 0.34657359027997264, -708.4, 0.0}) == 0);
}

TEST_CASE("expm1") {
    const auto exact = [](long double x) { return std::expm1(x); };
    check_ulps(4.0, math::expm1, exact, grid(-40.0, 709.78, 100'000));
    check_ulps(4.0, math::expm1, exact, random_points(-1.0, 1.0, 100'000));
    check_ulps(4.0, math::expm1, exact, scattered(-1022, 6, 100'000, true));

    CHECK(math::expm1(0.0) == 0.0);
    CHECK(math::expm1(least) == least);
    CHECK(math::expm1(inf) == inf);
    CHECK(math::expm1(-inf) == -1.0);
    CHECK(std::isnan(math::expm1(undefined)));
    CHECK(falls(math::expm1, -2.0, 2.0, {-0.34, 0.34, 0.0}) == 0);
}

TEST_CASE("log") {
    const auto exact = [](long double x) { return std::log(x); };
    check_ulps(1.0, math::log, exact, grid(0.5, 2.0, 100'000));
    check_ulps(1.0, math::log, exact, random_points(0.99, 1.01, 100'000));
    check_ulps(1.0, math::log, exact, scattered(-1074, 1023, 200'000, false));

    CHECK(math::log(1.0) == 0.0);
    CHECK(math::log(0.0) == -inf);
    CHECK(math::log(-0.0) == -inf);
    CHECK(math::log(inf) == inf);
    CHECK(std::isnan(math::log(-1.0)));
    CHECK(std::isnan(math::log(-inf)));
    CHECK(std::isnan(math::log(undefined)));
    CHECK(ulps(math::log(least), std::log(static_cast<long double>(least))) < 1.0);
    CHECK(ulps(math::log(greatest), std::log(static_cast<long double>(greatest))) < 1.0);
    // Around the significand at which the exponent is split off
    CHECK(falls(math::log, 0.1, 10.0, {0x1.6a09e00000000p-1, 1.0, 0x1.6a09e00000000p0, 2.0}) == 0);
}

TEST_CASE("log1p") {
    const auto exact = [](long double x) { return std::log1p(x); };
    check_ulps(2.0, math::log1p, exact, grid(-0.999999, 10.0, 100'000));
    check_ulps(2.0, math::log1p, exact, random_points(-0.01, 0.01, 100'000));
    check_ulps(2.0, math::log1p, exact, scattered(-1074, 1023, 100'000, false));
    check_ulps(2.0, [](double x) { return math::log1p(-x); }, [](long double x) { return std::log1p(-x); },
                scattered(-1074, -1, 100'000, false));

    CHECK(math::log1p(0.0) == 0.0);
    CHECK(math::log1p(least) == least);
    CHECK(math::log1p(-least) == -least);
    CHECK(math::log1p(-1.0) == -inf);
    CHECK(math::log1p(inf) == inf);
    CHECK(std::isnan(math::log1p(-2.0)));
    CHECK(std::isnan(math::log1p(undefined)));
}

TEST_CASE("pow") {
    for (const double y : {0.05, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 10.0, -0.5, -1.0, -3.0}) {
        CAPTURE(y);
        const auto got = [y](double x) { return math::pow(x, y); };
        const auto exact = [y](long double x) { return std::pow(x, static_cast<long double>(y)); };
        const int reach = static_cast<int>(1020.0 / std::max(1.0, std::fabs(y)));
        check_ulps(2.0, got, exact, grid(0.25, 4.0, 50'000));
        check_ulps(2.0, got, exact, scattered(-reach, reach, 50'000, false));
    }
    // Results of all sizes. Exponents of hundreds magnify what two doubles lose of a logarithm.
    tests::Generator random(3);
    double most = 0.0, most_large = 0.0;
    for (int i = 0; i < 200'000; ++i) {
        const double x = i % 2 ? random.spread(-1074, 1023) : random.between(0.5, 2.0);
        const double y = random.between(-745.0, 709.0) / std::log(x);
        const double error = ulps(math::pow(x, y), std::pow(static_cast<long double>(x), static_cast<long double>(y)));
        (std::fabs(y) < 20.0 ? most : most_large) = std::max(std::fabs(y) < 20.0 ? most : most_large, error);
    }
    CHECK(most < 2.0);
    CHECK(most_large < 64.0);

    CHECK(math::pow(0.0, 0.5) == 0.0);
    CHECK(math::pow(0.0, -0.5) == inf);
    CHECK(math::pow(0.0, 0.0) == 1.0);
    CHECK(math::pow(inf, 0.5) == inf);
    CHECK(math::pow(inf, -0.5) == 0.0);
    CHECK(math::pow(1.0, 1e300) == 1.0);
    CHECK(math::pow(3.0, 0.0) == 1.0);
    CHECK(math::pow(2.0, 10.0) == 1024.0);
    CHECK(std::isnan(math::pow(undefined, 0.5)));
    CHECK(std::isnan(math::pow(-1.0, 0.5)));
    // Overflow and underflow, near their edges and far beyond
    for (const double x : {3.0, 1e10, 1e200, 3e299, greatest}) {
        for (const double log_result : {710.0, 720.0, 780.0, 800.0, 900.0, 1e6, 1e300}) {
            const double y = log_result / std::log(x);
            CAPTURE(x);
            CAPTURE(y);
            CHECK(math::pow(x, y) == inf);
            CHECK(math::pow(x, -1.06 * y) == 0.0);
            CHECK(math::pow(1.0 / x, 1.06 * y) == 0.0);
        }
    }
    // An error above half an ulp lets neighbours swap, but no more than neighbours.
    for (const double y : {0.3, 0.7, 1.0, 1.5}) {
        CHECK(falls([y](double x) { return math::pow(x, y); }, 0.1, 10.0, {0x1.6a09e00000000p-1, 1.0, 2.0}, 16) == 0);
    }
}

TEST_CASE("mean_decay") {
    const auto exact = [](long double y) { return y == 0.0L ? 1.0L : -std::expm1(-y) / y; };
    const auto mean_decay = [](double y) { return math::mean_decay(y); };
    check_ulps(3.0, mean_decay, exact, grid(-700.0, 1000.0, 100'000));
    check_ulps(3.0, mean_decay, exact, random_points(-2.0, 2.0, 100'000));
    check_ulps(3.0, mean_decay, exact, scattered(-1022, 1000, 100'000, false));
    CHECK(mean_decay(0.0) == 1.0);
    CHECK(mean_decay(least) == 1.0);
    CHECK(mean_decay(inf) == 0.0);
    CHECK(mean_decay(-1000.0) == inf);
    CHECK(std::isnan(mean_decay(undefined)));
}

TEST_CASE("first_moment_decay") {
    const auto exact = [](long double y) {
        if (std::fabs(y) > 0.5L) return (1.0L - (1.0L + y) * std::exp(-y)) / (y * y);
        long double term = 1.0L, sum = 0.5L;  // as in the header, in more digits
        for (int n = 1; n <= 30; ++n) {
            term *= -y / n;
            sum += term / (n + 2);
        }
        return sum;
    };
    check_ulps(6.0, math::first_moment_decay, exact, grid(-700.0, 1000.0, 100'000));
    check_ulps(6.0, math::first_moment_decay, exact, random_points(-2.0, 2.0, 100'000));
    check_ulps(6.0, math::first_moment_decay, exact, scattered(-1022, 500, 100'000, false));
    CHECK(math::first_moment_decay(0.0) == 0.5);
    CHECK(math::first_moment_decay(inf) == 0.0);
    CHECK(math::first_moment_decay(-1000.0) == inf);
    CHECK(std::isnan(math::first_moment_decay(undefined)));
}
