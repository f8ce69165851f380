// Inputs from integer arithmetic alone: the same numbers from every compiler and C library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/math.hpp"

namespace tests {

// splitmix64
class Generator {
public:
    explicit Generator(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t count) { return static_cast<std::size_t>(next() % count); }
    // A multiple of 2^-53 in [0, 1)
    double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
    double between(double low, double high) { return low + (high - low) * uniform(); }
    // A positive number with every exponent from `low` to `high` (powers of two) equally likely
    double spread(int low, int high) {
        double x = 1.0 + uniform();
        int exponent = low + static_cast<int>(below(static_cast<std::size_t>(high - low + 1)));
        for (; exponent > 0; --exponent) x *= 2.0;
        for (; exponent < 0; ++exponent) x *= 0.5;
        return x;
    }

private:
    std::uint64_t state_;
};

inline bool same_bits(double a, double b) { return flushpoint::math::bits_of(a) == flushpoint::math::bits_of(b); }
inline bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
    bool same = a.size() == b.size();
    for (std::size_t i = 0; same && i < a.size(); ++i) same = same_bits(a[i], b[i]);
    return same;
}

}  // namespace tests
