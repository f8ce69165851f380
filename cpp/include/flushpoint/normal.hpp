// The normal law: its distribution function and quantiles, accurate to a few units in the last place.
#pragma once

#include <cstdint>

#include "flushpoint/math.hpp"

namespace flushpoint::math {

// The probability of a standard normal above x, 0 <= x <= 37: exp(-x^2/2) / (x + 4) times a polynomial in
// t = (x - 4) / (x + 4) through the Chebyshev nodes, relative error 6e-18. Even and odd powers go side by side.
template <class D, class W>
static inline D normal_tail(D x) {
    constexpr double odd[] = {0x1.18fadcb19729ep-33,  -0x1.f911d90934f17p-31, 0x1.ba71fe9a137d9p-30,
                              0x1.ed0700073cad9p-27,  -0x1.4f77f4e976bc8p-23, 0x1.127054d04c8ebp-20,
                              -0x1.8d5157f576ee3p-18, 0x1.26d0cfc3a105ep-15,  -0x1.e4a427bd29540p-13,
                              0x1.ab825fc86b65ap-10,  -0x1.ee27610498d0fp-8,  -0x1.7dff2bff6834cp-3,
                              -0x1.373e3a893c28ap-1};
    constexpr double even[] = {0x1.7655f52ff7887p-32,  -0x1.006baa8ca55dap-28, 0x1.70289dc68d0a1p-26,
                               -0x1.751a2b7f2dd9ep-24, 0x1.248ee6ef018bbp-22,  -0x1.522460aaee22ap-21,
                               0x1.80c0f34539df0p-21,  -0x1.001eda9c6d29ap-19, 0x1.17a4ae57dfae8p-13,
                               -0x1.c81719d550ea1p-9,  0x1.eec4cc3e4d127p-5,   0x1.8c6dbf2cfc2b6p-2,
                               0x1.82b4bb8c94dcep-1};
    const D t = (x - 4.0) / (x + 4.0);
    const D z = t * t;
    D p = z * odd[0] + odd[1], q = z * even[0] + even[1];
    for (int i = 2; i < 13; ++i) {
        p = p * z + odd[i];
        q = q * z + even[i];
    }
    const D square = x * x;
    const D e = detail::exp_of_moderate<D, W>(-0.5 * square);
    return (e - e * (0.5 * detail::product_error(x, x, square))) * ((p * t + q) / (x + 4.0));
}

static inline double normal_tail(double x) { return x > 37.0 ? 0.0 : normal_tail<double, std::uint64_t>(x); }

// The probability of a standard normal below z.
static inline double normal_cdf(double z) { return z < 0.0 ? normal_tail(-z) : 1.0 - normal_tail(z); }

// The z at which normal_cdf(z) = p, 0 < p < 1: Hastings' rational approximation (1955), then Halley's method twice.
static inline double normal_quantile(double p) {
    const double q = p < 0.5 ? p : 1.0 - p;
    const double t = square_root(-2.0 * log(q));
    double x = t - ((0.010328 * t + 0.802853) * t + 2.515517) / (((0.001308 * t + 0.189269) * t + 1.432788) * t + 1.0);
    for (int i = 0; i < 2; ++i) {
        x = x < 0.0 ? 0.0 : x;
        const double error = (normal_tail(x) - q) * (2.5066282746310002 * exp(0.5 * x * x));
        x += error / (1.0 - 0.5 * x * error);
    }
    return p < 0.5 ? -x : x;
}

}  // namespace flushpoint::math
