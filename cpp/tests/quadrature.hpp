// Integrals in long double by the double-exponential rule: slow, and independent of how the engine integrates.
#pragma once

#include <cmath>

namespace tests {

// The integral over [a, b]. Singular ends do no harm where the singularity stands at a = 0 and f is exact near it.
template <class Function>
long double integral(Function&& f, long double a, long double b) {
    constexpr int fineness = 16, reach = 5;
    constexpr long double step = 1.0L / fineness, half_pi = 1.57079632679489661923L;
    long double sum = 0.0L;
    for (int i = -fineness * reach; i <= fineness * reach; ++i) {
        // x runs from a to b as the share does from 0 to 1; weight is its derivative.
        const long double t = step * static_cast<long double>(i);
        const long double e = std::exp(-2.0L * half_pi * std::sinh(t));
        const long double share = 1.0L / (1.0L + e);
        const long double weight = 2.0L * half_pi * std::cosh(t) * share * (e * share);
        if (weight > 0.0L && share > 0.0L) sum += weight * f(a + (b - a) * share);
    }
    return sum * step * (b - a);
}

// The integral of exp(exponent(x)) over [a, b] for a monotone exponent: halved until it changes little over a part,
// where the largest stands no more than 200 below `top`, its maximum over all.
template <class Exponent>
long double integral_of_exp(Exponent&& exponent, long double a, long double b, long double top) {
    const long double at_a = exponent(a), at_b = exponent(b);
    if (std::fmax(at_a, at_b) < top - 200.0L || !(b > a)) return 0.0L;
    const long double middle = a + 0.5L * (b - a);
    if (std::fabs(at_b - at_a) > 4.0L && middle > a && middle < b) {
        return integral_of_exp(exponent, a, middle, top) + integral_of_exp(exponent, middle, b, top);
    }
    return integral([&](long double x) { return std::exp(exponent(x)); }, a, b);
}

}  // namespace tests
