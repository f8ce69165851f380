// exp, expm1, log, log1p and pow built from IEEE additions, multiplications, divisions and square roots only, so that
// their bits depend neither on the C library nor on the processor. Accurate to about one unit in the last place.
// Everything has internal linkage: this header is compiled once per instruction set and no copy may leak to another.
#pragma once

#include <cstdint>

namespace flushpoint::math {

inline constexpr double infinity = __builtin_inf();
inline constexpr double lowest = -0x1.fffffffffffffp1023;
inline constexpr double not_a_number = __builtin_nan("");

static inline std::uint64_t bits_of(double x) { return __builtin_bit_cast(std::uint64_t, x); }
static inline double double_of(std::uint64_t bits) { return __builtin_bit_cast(double, bits); }
static inline double square_root(double x) { return __builtin_sqrt(x); }

// The part of a + b that rounding loses (Knuth's two-sum).
static inline double sum_error(double a, double b, double sum) {
    const double taken = sum - a;
    return (a - (sum - taken)) + (b - taken);
}

namespace detail {
inline constexpr double log2_e = 0x1.71547652b82fep0;
// ln 2 in two parts; the high one has 32 significant bits, so its product with an exponent is exact.
inline constexpr double ln2_high = 0x1.62e42feep-1;
inline constexpr double ln2_low = 0x1.a39ef35793c76p-33;
// Adding this rounds a double of moderate size to an integer, which then stands in the low bits.
inline constexpr double rounder = 0x1.8p52;

// (exp(r) - 1 - r) / r^2 for |r| <= 0.35: the Taylor series, whose first omitted term is below 1e-17.
template <class D>
static inline D exp_tail(D r) {
    D p = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    return p * r + 0.5;
}

// exp(x) - 1 for |x| <= 0.34
template <class D>
static inline D expm1_of_small(D x) {
    return x + x * x * exp_tail(x);
}

// 2^k for the integer that `rounded` = k + rounder carries, -1022 <= k <= 1023.
template <class D, class W>
static inline D power_of_two(D rounded) {
    return __builtin_bit_cast(D, (__builtin_bit_cast(W, rounded) + 1023) << 52);
}

// exp(x) = fraction * 2^k, with k + rounder in `power`; for one number or a vector of them, with D their type.
template <class D>
struct Power {
    D fraction;
    D power;
};

template <class D>
static inline Power<D> exp_parts(D x) {
    const D rounded = x * log2_e + rounder;
    const D k = rounded - rounder;
    const D r = (x - k * ln2_high) - k * ln2_low;
    return {1.0 + (r + r * r * exp_tail(r)), rounded};
}

// exp(x) for -708 <= x <= 709; W is the type of D's bits.
template <class D, class W>
static inline D exp_of_moderate(D x) {
    const auto [e, power] = exp_parts(x);
    return e * power_of_two<D, W>(power);
}

// exp(x) for any x.
template <class D, class W>
static inline D exp_of_any(D x) {
    // Beyond these bounds the result is inf or 0 all the same; a NaN passes both comparisons unchanged.
    x = x > 710.0 ? D{} + 710.0 : x;
    x = x < -746.0 ? D{} - 746.0 : x;
    const auto [e, power] = exp_parts(x);
    // 2^k in two factors, since k alone may leave the range of normal numbers.
    const D k = power - rounder;
    const D half = k * 0.5 + rounder;
    const D rest = (k - (half - rounder)) + rounder;
    return e * power_of_two<D, W>(half) * power_of_two<D, W>(rest);
}

// 2 atanh(s) - 2 s, divided by s, where z = s^2 <= 0.0295: the polynomial through the Chebyshev nodes, error below 5e-18.
template <class D>
static inline D atanh_tail(D z) {
    D p = z * 0x1.2b5f68a51190dp-3 + 0x1.39fdcceb4b524p-3;
    p = p * z + 0x1.7462b91b8df9fp-3;
    p = p * z + 0x1.c71c62d5e53dfp-3;
    p = p * z + 0x1.2492492dfd86cp-2;
    p = p * z + 0x1.9999999995273p-2;
    p = p * z + 0x1.5555555555558p-1;
    return p * z;
}

// x = 2^exponent * (1 + fraction) with 1 + fraction in [sqrt(1/2), sqrt(2)); x a positive normal number. For one number
// or a vector of them, with D their type and W that of their bits.
template <class D>
struct Split {
    D exponent;
    D fraction;
};

template <class D, class W>
static inline Split<D> split(D x) {
    constexpr std::uint64_t root_half = 0x3fe6a09e00000000;  // bits of about sqrt(1/2)
    constexpr double magic = 0x1p52 + 1023.0;                // 2^52 + k stands in the low bits of that double
    const W raised = __builtin_bit_cast(W, x) + (0x3ff0000000000000 - root_half);
    return {__builtin_bit_cast(D, (raised >> 52) | 0x4330000000000000) - magic,
            __builtin_bit_cast(D, (raised & 0x000fffffffffffff) + root_half) - 1.0};
}

// log(1 + f) + k ln 2, where log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + tail)), with f exact.
template <class D>
static inline D log_of(Split<D> x) {
    const D f = x.fraction;
    const D s = f / (2.0 + f);
    const D half_square = 0.5 * f * f;
    const D tail = atanh_tail(s * s);
    return x.exponent * ln2_high - ((half_square - (s * (half_square + tail) + x.exponent * ln2_low)) - f);
}

// The same for any positive finite number.
static inline Split<double> split(double x) {
    if (x >= 0x1p-1022) return split<double, std::uint64_t>(x);
    Split<double> out = split<double, std::uint64_t>(x * 0x1p54);
    out.exponent -= 54.0;
    return out;
}

// The part of a * b that rounding loses (Dekker's product; no fused multiply-add, which not every processor has).
template <class D>
static inline D product_error(D a, D b, D product) {
    constexpr double splitter = 134217729.0;  // 2^27 + 1
    const D ta = splitter * a, tb = splitter * b;
    const D ah = ta - (ta - a), bh = tb - (tb - b);
    const D al = a - ah, bl = b - bh;
    return ((ah * bh - product) + ah * bl + al * bh) + al * bl;
}
}  // namespace detail

static inline double exp(double x) { return detail::exp_of_any<double, std::uint64_t>(x); }

// exp(x) - 1
static inline double expm1(double x) {
    if (x > 0.34 || x < -0.34) return exp(x) - 1.0;
    return detail::expm1_of_small(x);  // a NaN comes here too, and stays one
}

static inline double log(double x) {
    if (!(x > 0.0)) return x == 0.0 ? -infinity : not_a_number;
    if (x == infinity) return x;
    return detail::log_of(detail::split(x));
}

// log(1 + x)
static inline double log1p(double x) {
    const double u = 1.0 + x;
    if (!(u > 0.0) || u == infinity) return log(u);
    if (u == 1.0) return x;
    return log(u) + (x - (u - 1.0)) / u;  // the second part mends the rounding of u
}

// x^y for x >= 0 and finite y. The logarithm is carried in two parts, since y * log(x) can be large.
static inline double pow(double x, double y) {
    if (y == 0.0 || x == 1.0) return 1.0;
    if (!(x > 0.0)) return x == 0.0 ? (y > 0.0 ? 0.0 : infinity) : not_a_number;
    if (x == infinity) return y > 0.0 ? infinity : 0.0;
    const auto [k, f] = detail::split(x);
    const double denominator = 2.0 + f;
    const double denominator_error = f - (denominator - 2.0);
    const double s = f / denominator;
    const double quotient = s * denominator;
    const double s_error =
        (((f - quotient) - detail::product_error(s, denominator, quotient)) - s * denominator_error) / denominator;
    // log x = k ln 2 + 2 s + s tail: four terms of falling size, and what each addition loses.
    const double terms[] = {k * detail::ln2_high, 2.0 * s, s * detail::atanh_tail(s * s), k * detail::ln2_low};
    double high = terms[0], low = 2.0 * s_error;
    for (int i = 1; i < 4; ++i) {
        const double sum = high + terms[i];
        low += sum_error(high, terms[i], sum);
        high = sum;
    }
    const double product = y * high;
    if (!(product < 800.0)) return infinity;
    if (!(product > -800.0)) return 0.0;
    const double error = detail::product_error(y, high, product) + y * low;
    if (product > 709.0) {  // close to overflow, exp(product) alone might pass it
        const double half = exp(0.5 * product);
        return (half + half * error) * half;
    }
    const double e = exp(product);
    return e + e * error;
}

// A sum of money in which a loss without bound outweighs any gain.
static inline double added(double a, double b) {
    const double sum = a + b;
    return sum == sum ? sum : -infinity;
}

// What a time leaves of something that halves every `half_life`, which may be 0 or infinite: 2^(-time / half_life).
static inline double left_after(double time, double half_life) {
    constexpr double ln2 = 0.6931471805599453;
    return exp(-ln2 * (time / half_life));
}

// (1 - exp(-y)) / y, the mean of exp(-y s) over 0 <= s <= 1
static inline double mean_decay(double y) { return y == 0.0 ? 1.0 : -expm1(-y) / y; }
// Of several side by side where |y| <= 0.34; elsewhere not a number.
template <class D>
    requires requires(D y) { y[0]; }
static inline D mean_decay(D y) {
    const D small = y == 0.0 ? D{} + 1.0 : -detail::expm1_of_small(-y) / y;
    return ((y > 0.34) | (y < -0.34)) ? D{} + not_a_number : small;
}

// The integral of s exp(-y s) over 0 <= s <= 1
static inline double first_moment_decay(double y) {
    if (y > 800.0) return 1.0 / y / y;
    if (y < -709.0) return infinity;
    if (y > 1.0 || y < -1.0) return (1.0 - (1.0 + y) * exp(-y)) / (y * y);
    // sum over n of (-y)^n / (n! (n + 2)); the direct form cancels here
    double term = 1.0, sum = 0.5;
    for (int n = 1; n <= 18; ++n) {
        term *= -y / n;
        sum += term / (n + 2);
    }
    return sum;
}

}  // namespace flushpoint::math
