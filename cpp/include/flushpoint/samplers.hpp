// Exact samplers of the Poisson, binomial and gamma laws, for any size of their parameters.
#pragma once

#include <cstdint>

#include "flushpoint/random.hpp"

namespace flushpoint::random {

// Numbers above this stand for any larger ones.
inline constexpr double most_counted = 0x1p50;

namespace detail {
// log(n!) less Stirling's log(sqrt(2 pi n) (n / e)^n), n >= 1.
static inline double stirling_error(double n) {
    constexpr double known[] = {0.0,
                                0x1.4c071bcda0a5bp-4,
                                0x1.52a9b923ea649p-5,
                                0x1.c579a268d80b3p-6,
                                0x1.54a2662fd78a9p-6,
                                0x1.10b4e513fcbedp-6,
                                0x1.c6b167bebdf36p-7,
                                0x1.85d4d612e4a86p-7,
                                0x1.552805e7b3076p-7,
                                0x1.2f4871b12ab64p-7,
                                0x1.10f9d4c0743a7p-7,
                                0x1.f0593088014f8p-8,
                                0x1.c7018733aa9c6p-8,
                                0x1.a40514700f36cp-8,
                                0x1.86076c002d4a7p-8,
                                0x1.6c08f6f194a10p-8};
    if (n < 16.0) return known[static_cast<int>(n)];
    const double z = 1.0 / (n * n);
    return (1.0 / 12.0 - z * (1.0 / 360.0 - z * (1.0 / 1260.0 - z * (1.0 / 1680.0 - z / 1188.0)))) / n;
}

// k log(k / mean) + mean - k, without cancellation where k is near the mean (Loader 2000).
static inline double deviance(double k, double mean) {
    const double difference = k - mean;
    const double v = difference / (k + mean);
    if (v > 0.1 || v < -0.1) return k * math::log(k / mean) - difference;
    double sum = difference * v, term = 2.0 * k * v;
    for (int i = 3;; i += 2) {
        term *= v * v;
        const double next = sum + term / i;
        if (next == sum) return sum;
        sum = next;
    }
}

static inline double log_poisson(double k, double mean) {
    if (k == 0.0) return -mean;
    return -stirling_error(k) - deviance(k, mean) - 0.5 * math::log(6.283185307179586 * k);
}

static inline double log_binomial(double k, double n, double p) {
    if (k == 0.0) return n * math::log1p(-p);
    if (k == n) return n * math::log(p);
    const double rest = n - k;
    return stirling_error(n) - stirling_error(k) - stirling_error(rest) - deviance(k, n * p) -
           deviance(rest, n * (1.0 - p)) + 0.5 * math::log(n / (6.283185307179586 * k * rest));
}

// Below this many expected, counting up from zero is quicker than rejection.
inline constexpr double few = 10.0;
// No count by inversion comes near it: the chance is below 1e-60.
inline constexpr double beyond_few = 128.0;

// The largest integer at or below x, |x| < 2^62; other x stay.
static inline double floor(double x) {
    if (!(x > -0x1p62 && x < 0x1p62)) return x;
    const auto whole = static_cast<double>(static_cast<std::int64_t>(x));
    return whole > x ? whole - 1.0 : whole;
}

// Transformed rejection (Hormann 1993): a count k from a hat of scale b around `centre`, kept with the probability that
// log_ratio(k), the log of its probability over a constant, tells.
template <class LogRatio>
static inline double rejection(Generator<std::uint64_t>& g, double a, double b, double centre, double quick,
                               double hat, double most, LogRatio&& log_ratio) {
    for (;;) {
        const double u = uniform(g) - 0.5, v = uniform(g);
        const double edge = 0.5 - (u < 0.0 ? -u : u);
        const double k = floor((2.0 * a / edge + b) * u + centre);
        if (edge >= 0.07 && v <= quick) return k;
        if (!(k >= 0.0 && k <= most)) continue;
        if (math::log(v * hat / (a / (edge * edge) + b)) <= log_ratio(k)) return k;
    }
}
}  // namespace detail

// A Poisson number; means beyond `most_counted` stand for that.
static inline double poisson(Generator<std::uint64_t>& g, double mean) {
    if (!(mean > 0.0)) return 0.0;
    if (mean >= most_counted) return most_counted;
    if (mean < detail::few) {
        double u = uniform(g), probability = math::exp(-mean), k = 0.0;
        while (u > probability && k < detail::beyond_few) {
            u -= probability;
            k += 1.0;
            probability *= mean / k;
        }
        return k;
    }
    const double b = 0.931 + 2.53 * math::square_root(mean), a = 0.02483 * b - 0.059;
    return detail::rejection(g, a, b, mean + 0.43, 0.9277 - 3.6224 / (b - 2.0), 1.1239 + 1.1328 / (b - 3.4),
                             most_counted, [&](double k) { return detail::log_poisson(k, mean); });
}

// How many of n independent events of probability p happen.
static inline double binomial(Generator<std::uint64_t>& g, double n, double p) {
    if (!(p > 0.0) || n == 0.0) return 0.0;
    if (p >= 1.0) return n;
    if (p > 0.5) return n - binomial(g, n, 1.0 - p);
    if (n * p < detail::few) {
        const double odds = p / (1.0 - p);
        double u = uniform(g), probability = math::exp(n * math::log1p(-p)), k = 0.0;
        while (u > probability && k < n && k < detail::beyond_few) {
            u -= probability;
            probability *= odds * ((n - k) / (k + 1.0));
            k += 1.0;
        }
        return k;
    }
    const double deviation = math::square_root(n * p * (1.0 - p));
    const double b = 1.15 + 2.53 * deviation, a = 0.0248 * b + 0.01 * p - 0.0873;
    const double likeliest = detail::log_binomial(detail::floor((n + 1.0) * p), n, p);
    return detail::rejection(g, a, b, n * p + 0.5, 0.92 - 4.2 / b, (2.83 + 5.1 / b) * deviation, n,
                             [&](double k) { return detail::log_binomial(k, n, p) - likeliest; });
}

// The sum of n standard exponentials (Marsaglia and Tsang 2000 where n is not small).
static inline double gamma(Generator<std::uint64_t>& g, double n) {
    if (n < 8.5) {
        double product = 1.0;
        for (double i = 0.0; i < n; i += 1.0) product *= uniform(g);
        return -math::log(product);
    }
    const double d = n - 1.0 / 3.0, c = 1.0 / math::square_root(9.0 * d);
    for (;;) {
        const double x = normals<double>(g).first;
        const double v = (1.0 + c * x) * (1.0 + c * x) * (1.0 + c * x);
        if (!(v > 0.0)) continue;
        const double u = uniform(g);
        if (u < 1.0 - 0.0331 * (x * x) * (x * x)) return d * v;
        if (math::log(u) < 0.5 * x * x + d * (1.0 - v + math::log(v))) return d * v;
    }
}

}  // namespace flushpoint::random
