// Random numbers: a path's numbers are a function of the seed, the path and a stream, and of nothing else.
//
// Philox4x32-10 (Salmon et al. 2011), keyed by the seed, turns (path, stream, block) into the state of a xoshiro256++
// (Blackman and Vigna 2019), which then yields the path's numbers in order. Every algorithm is written once, for one
// generator or for one in each lane of a vector: both give the same bits.
#pragma once

#include <cstdint>

#include "flushpoint/math.hpp"

namespace flushpoint::random {

struct Words {
    std::uint32_t w[4];
};

// Philox4x32-10: a bijection of the counter for each key.
static inline Words philox(Words counter, std::uint64_t key) {
    auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    auto [a, b, c, d] = counter.w;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t left = std::uint64_t{0xd2511f53} * a, right = std::uint64_t{0xcd9e8d57} * c;
        a = static_cast<std::uint32_t>(right >> 32) ^ b ^ k0;
        b = static_cast<std::uint32_t>(right);
        c = static_cast<std::uint32_t>(left >> 32) ^ d ^ k1;
        d = static_cast<std::uint32_t>(left);
        k0 += 0x9e3779b9;
        k1 += 0xbb67ae85;
    }
    return {{a, b, c, d}};
}

// What a path's numbers are for: each use has a stream of its own, so that none disturbs another.
enum class Stream : std::uint32_t { returns, jumps, extremes, book, openings, blocks, details, closings };

// Lane types: double and std::uint64_t alone, or vectors of them.
typedef double Double4 __attribute__((vector_size(32)));
typedef std::uint64_t Word4 __attribute__((vector_size(32)));
static inline double square_root(double x) { return math::square_root(x); }
template <class D>
static inline D square_root(D x) {
    for (std::size_t i = 0; i < sizeof x / sizeof x[0]; ++i) x[i] = math::square_root(x[i]);
    return x;
}

// Aligned like its words even where the processor's own vectors are smaller, and compilers align large ones less: code for
// other instruction sets gets to see it.
template <class W>
struct alignas(sizeof(W)) Generator {
    W s[4];

    // Inlined even where nothing is optimised: how a vector is returned depends on the instruction set.
    [[gnu::always_inline]] W next() {
        const W sum = s[0] + s[3];
        const W out = ((sum << 23) | (sum >> 41)) + s[0];
        const W t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = (s[3] << 45) | (s[3] >> 19);
        return out;
    }
};

// `lane` tells several generators of one path and stream apart.
static inline Generator<std::uint64_t> generator(std::uint64_t seed, std::uint64_t path, Stream stream,
                                                 std::uint32_t lane = 0) {
    Generator<std::uint64_t> out;
    for (std::uint32_t block = 0; block < 2; ++block) {
        const Words words = philox({{static_cast<std::uint32_t>(path), static_cast<std::uint32_t>(path >> 32),
                                     static_cast<std::uint32_t>(stream), 2 * lane + block}},
                                   seed);
        for (std::uint32_t i = 0; i < 2; ++i) out.s[2 * block + i] = words.w[2 * i] | (std::uint64_t{words.w[2 * i + 1]} << 32);
    }
    if ((out.s[0] | out.s[1] | out.s[2] | out.s[3]) == 0) out.s[0] = 1;  // the one state it cannot leave
    return out;
}

// One generator in each lane of a vector, none of them the path's and stream's plain one.
static inline Generator<Word4> lane_generators(std::uint64_t seed, std::uint64_t path, Stream stream) {
    Generator<Word4> out;
    for (std::uint32_t lane = 0; lane < 4; ++lane) {
        const auto g = generator(seed, path, stream, lane + 1);
        for (int i = 0; i < 4; ++i) out.s[i][lane] = g.s[i];
    }
    return out;
}

// In [1, 2), on a grid of 2^-52.
template <class D, class W>
static inline D from_one_to_two(W word) {
    return __builtin_bit_cast(D, (word >> 12) | 0x3ff0000000000000);
}

// Uniform in (0, 1].
template <class W>
static inline double uniform(Generator<W>& g) {
    return 2.0 - from_one_to_two<double>(g.next());
}

// Uniform on 0, 1, ..., count - 1: the high word of a product, whose bias of at most count / 2^64 nobody can see.
static inline std::uint64_t below(Generator<std::uint64_t>& g, std::uint64_t count) {
    // The high word of a 64 x 64 bit product, by halves.
    const std::uint64_t a = g.next(), low = 0xffffffff;
    const std::uint64_t middle = (a & low) * (count >> 32) + (((a & low) * (count & low)) >> 32);
    const std::uint64_t other = (a >> 32) * (count & low) + (middle & low);
    return (a >> 32) * (count >> 32) + (middle >> 32) + (other >> 32);
}

// Standard exponential.
static inline double exponential(Generator<std::uint64_t>& g) { return -math::log(uniform(g)); }

template <class D>
struct Pair {
    D first, second;
};

// cos and sin of a turn's part t in [0, 1): the nearest quarter turn, and the rest, at most pi/4, by polynomials through
// the Chebyshev nodes, errors below 2e-17.
template <class D, class W>
static inline Pair<D> cos_sin_of_turn(D t) {
    const D rounded = 4.0 * t + math::detail::rounder;
    const D r = (t - 0.25 * (rounded - math::detail::rounder)) * 6.283185307179586;
    const D z = r * r;
    D s = z * 0x1.5e0b05bff209ap-33 - 0x1.ae600aca92c63p-26;
    s = s * z + 0x1.71de379654304p-19;
    s = s * z - 0x1.a01a019e83816p-13;
    s = s * z + 0x1.1111111110bb2p-7;
    s = s * z - 0x1.5555555555555p-3;
    s = r + r * (z * s);
    D c = 0x1.1eeb68cd22f56p-29 - z * 0x1.907d8f29fe7d9p-37;
    c = c * z - 0x1.27e4fa17bf139p-22;
    c = c * z + 0x1.a01a019f4e9b4p-16;
    c = c * z - 0x1.6c16c16c16967p-10;
    c = c * z + 0x1.5555555555555p-5;
    c = 1.0 - (0.5 * z - z * z * c);
    // A quarter turn swaps the two; signs by quadrant.
    const W quarter = __builtin_bit_cast(W, rounded);
    const W odd = W{} - (quarter & 1);
    const W cosine = __builtin_bit_cast(W, c), sine = __builtin_bit_cast(W, s);
    const W x = (cosine & ~odd) | (sine & odd), y = (sine & ~odd) | (cosine & odd);
    const W sign_x = ((quarter + 1) & 2) << 62, sign_y = (quarter & 2) << 62;
    return {__builtin_bit_cast(D, x ^ sign_x), __builtin_bit_cast(D, y ^ sign_y)};
}

// Two independent standard normals (Box and Muller 1958), at most 8.5 in absolute value: a radius and the turn's part of
// an angle, each from a word.
template <class D, class W>
static inline D normal_radius(W word) {
    return square_root(-2.0 * math::detail::log_of(math::detail::split<D, W>(2.0 - from_one_to_two<D>(word))));
}
template <class D, class W>
static inline D normal_turn(W word) {
    return from_one_to_two<D>(word) - 1.0;
}
template <class D, class W>
static inline Pair<D> normals(Generator<W>& g) {
    const D radius = normal_radius<D>(g.next());
    const auto [c, s] = cos_sin_of_turn<D, W>(normal_turn<D>(g.next()));
    return {radius * c, radius * s};
}

}  // namespace flushpoint::random
