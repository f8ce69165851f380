// Compiled once per instruction set; see arch.hpp. Nothing here may use the standard library's templates.
#include "flushpoint/cascade.hpp"
#include "flushpoint/kernels.hpp"
#include "flushpoint/normal.hpp"
#include "flushpoint/visit.hpp"

#ifdef __SSE2__
#include <immintrin.h>
#endif

#define FLUSHPOINT_TEXT_(x) #x
#define FLUSHPOINT_TEXT(x) FLUSHPOINT_TEXT_(x)

namespace flushpoint {
inline namespace FLUSHPOINT_ARCH {

namespace {

void shock_columns(const SideView& side, const MarketData& data, bool shorts, std::size_t begin, std::size_t end,
                   double* keys, double* price_factors) {
    const double sign = shorts ? -1.0 : 1.0;
    with_market(data, 1.0, [&](const auto& market) {
        for (std::size_t i = begin; i < end; ++i) {
            const double sold = sign * side.quantity_sum[i];
            const double displacement = market.displacement({sold, sold});
            keys[i] = sign * (side.trigger[i] * market.mark_factor(displacement));
            price_factors[i] = math::exp(-displacement);
        }
    });
}

void answer_shocks(const StepsView& longs, const StepsView& shorts, double price, const Questions& questions,
                   const Answers& answers) {
    // In batches, so that the memory each question needs is on its way while others are looked at.
    constexpr std::size_t batch = 64;
    const StepsView sides[2] = {longs, shorts};
    double start[batch], key[batch];
    std::size_t slots[batch], row[batch];
    unsigned char is_short[batch];
    for (std::size_t done = 0; done < questions.count; done += batch) {
        const std::size_t n = questions.count - done < batch ? questions.count - done : batch;
        const double* shock = questions.values + done;
        for (std::size_t i = 0; i < n; ++i) {
            is_short[i] = shock[i] > 0.0;
            start[i] = price * (1.0 + shock[i]);
            // The crossing test, with its slack on the side of the start price.
            key[i] = is_short[i] ? -(start[i] * (1.0 + tie)) : start[i] * (1.0 - tie);
        }
        for (std::size_t i = 0; i < n; ++i) {
            slots[i] = slot(sides[is_short[i]], key[i]);
            __builtin_prefetch(sides[is_short[i]].first + slots[i]);
        }
        for (std::size_t i = 0; i < n; ++i) {
            row[i] = static_cast<std::size_t>(sides[is_short[i]].first[slots[i]]);
            __builtin_prefetch(sides[is_short[i]].rows + row[i]);
        }
        for (std::size_t i = 0; i < n; ++i) {
            const StepsView& side = sides[is_short[i]];
            const Step& outcome = side.rows[find_row(side, row[i], slots[i], key[i])];
            answers.final_price[done + i] = start[i] * outcome.price_factor;
            answers.closed[done + i] = outcome.closed;
        }
    }
}

using random::Double4;
using random::Word4;

// As many numbers side by side as the instruction set has room for: each goes its own way, so that bits do not tell.
#if defined(__AVX512F__)
constexpr int width = 8;
#elif defined(__AVX2__)
constexpr int width = 4;
#else
constexpr int width = 2;
#endif
typedef double Wide __attribute__((vector_size(8 * width)));
typedef std::uint64_t WideWord __attribute__((vector_size(8 * width)));

inline Wide load(const double* at) { return *reinterpret_cast<const Wide*>(at); }
inline void store(double* at, Wide value) { *reinterpret_cast<Wide*>(at) = value; }

// Runs body(first lane, generators) on as many lanes as go side by side, whose generators are kept out of memory meanwhile.
template <class Body>
inline void each_part(Walk& walk, Body&& body) {
    for (int lane = 0; lane < walk_lanes; lane += width) {
        const auto word = [&](int i) -> WideWord& { return *reinterpret_cast<WideWord*>(walk.generator[i] + lane); };
        random::Generator<WideWord> g;
        for (int i = 0; i < 4; ++i) g.s[i] = word(i);
        body(lane, g);
        for (int i = 0; i < 4; ++i) word(i) = g.s[i];
    }
}

// Steps go in pairs, since normals come in pairs, and pairs in batches: what one pair waits for, others need not. Rows past
// the last step are not looked at.
void normal_returns(Walk& walk, int steps, double mean, double deviation) {
    constexpr int batch = 4;
    static_assert(block_steps % (2 * batch) == 0);
    each_part(walk, [&](int lane, random::Generator<WideWord>& g) {
        const Wide scale = deviation * load(walk.sign + lane);
        for (int s = 0; s < steps; s += 2 * batch) {
            WideWord words[batch], turns[batch];
            Wide radius[batch];
            for (int i = 0; i < batch; ++i) {
                words[i] = g.next();
                turns[i] = g.next();
            }
            for (int i = 0; i < batch; ++i) radius[i] = random::normal_radius<Wide>(words[i]);
            for (int i = 0; i < batch; ++i) {
                const auto [c, d] = random::cos_sin_of_turn<Wide, WideWord>(random::normal_turn<Wide>(turns[i]));
                store(walk.path[s + 2 * i] + lane, mean + scale * (radius[i] * c));
                store(walk.path[s + 2 * i + 1] + lane, mean + scale * (radius[i] * d));
            }
        }
    });
}

// exp(x) - 1 for 0 <= x <= 709, as math::expm1 has it.
inline Wide expm1_of_positive(Wide x) {
    return x > 0.34 ? math::detail::exp_of_moderate<Wide, WideWord>(x) - 1.0 : x + x * x * math::detail::exp_tail(x);
}

// T = sqrt(degrees (U^(-2 / degrees) - 1)) cos(2 pi V) (Bailey 1994).
void student_returns(Walk& walk, int steps, double mean, double scale, double degrees) {
    each_part(walk, [&](int lane, random::Generator<WideWord>& g) {
        const Wide sign = load(walk.sign + lane);
        for (int s = 0; s < steps; ++s) {
            const Wide u = 2.0 - random::from_one_to_two<Wide>(g.next());
            const Wide turn = random::from_one_to_two<Wide>(g.next()) - 1.0;
            const Wide log_u = math::detail::log_of(math::detail::split<Wide, WideWord>(u));
            const Wide radius = random::square_root(degrees * expm1_of_positive(-2.0 / degrees * log_u));
            const Wide t = radius * random::cos_sin_of_turn<Wide, WideWord>(turn).first;
            store(walk.path[s] + lane, mean + scale * (sign * t));
        }
    });
}

void garch_returns(Walk& walk, int steps, const double* p) {
    const double mean = p[0], omega = p[1], alpha = p[2], beta = p[3];
    const Wide most = Wide{} + 1e300;  // where an explosive variance ends, short of inf and NaN
    each_part(walk, [&](int lane, random::Generator<WideWord>& g) {
        const Wide sign = load(walk.sign + lane);
        Wide variance = load(walk.variance + lane);
        const auto step = [&](int s, Wide z) {
            const Wide shock = random::square_root(variance) * (sign * z);
            store(walk.path[s] + lane, mean + shock);
            const Wide next = omega + alpha * (shock * shock) + beta * variance;
            variance = next < most ? next : most;
        };
        for (int s = 0; s < steps; s += 2) {
            const auto [first, second] = random::normals<Wide>(g);
            step(s, first);
            if (s + 1 < steps) step(s + 1, second);
        }
        store(walk.variance + lane, variance);
    });
}

void accumulate(Walk& walk, int steps) {
    for (int lane = 0; lane < walk_lanes; lane += width) {
        Wide x = load(walk.log_price + lane);
        Wide low = Wide{} + math::infinity, high = Wide{} - math::infinity;
        for (int s = 0; s < steps; ++s) {
            double* at = walk.path[s] + lane;
            x += load(at);
            store(at, x);
            low = x < low ? x : low;
            high = x > high ? x : high;
        }
        store(walk.log_price + lane, x);
        store(walk.low + lane, low);
        store(walk.high + lane, high);
    }
}

double normal_mixture(const double* share, const double* offset, std::size_t count, double x, double spread) {
    Double4 sum{};
    for (std::size_t i = 0; i < count; i += 4) {
        Double4 w, z;
        for (int k = 0; k < 4; ++k) {
            w[k] = share[i + k];
            z[k] = (x - offset[i + k]) / spread;
            z[k] = z[k] > 37.0 ? 37.0 : z[k] < -37.0 ? -37.0 : z[k];
        }
        const Word4 sign = __builtin_bit_cast(Word4, z) & 0x8000000000000000;
        const Double4 tail = math::normal_tail<Double4, Word4>(__builtin_bit_cast(Double4, __builtin_bit_cast(Word4, z) ^ sign));
        // Below zero the tail itself, above it 1 - tail.
        const Double4 one = __builtin_bit_cast(Double4, ((sign >> 63) - 1) & 0x3ff0000000000000);
        sum += w * (one + __builtin_bit_cast(Double4, __builtin_bit_cast(Word4, tail) ^ (sign ^ 0x8000000000000000)));
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// Step by step over a batch, since the steps of one number wait for each other and those of several do not.
void log_normals(random::Generator<Word4>& lanes, double median, double sigma, double* out, std::size_t count) {
    constexpr std::size_t batch = 16;
    constexpr std::size_t parts = 4 * batch / width;
    alignas(64) std::uint64_t words[4 * batch] = {}, turns[4 * batch] = {};  // of four generators each time
    alignas(64) double normal[8 * batch];
    for (std::size_t done = 0; done < count; done += 8 * batch) {
        const std::size_t left = count - done, n = left < 8 * batch ? (left + 7) / 8 : batch;
        for (std::size_t i = 0; i < n; ++i) {
            *reinterpret_cast<Word4*>(words + 4 * i) = lanes.next();
            *reinterpret_cast<Word4*>(turns + 4 * i) = lanes.next();
        }
        Wide radius[parts];
        const std::size_t used = (4 * n + width - 1) / width;
        for (std::size_t k = 0; k < used; ++k) {
            radius[k] = random::normal_radius<Wide>(*reinterpret_cast<const WideWord*>(words + width * k));
        }
        for (std::size_t k = 0; k < used; ++k) {
            const Wide turn = random::normal_turn<Wide>(*reinterpret_cast<const WideWord*>(turns + width * k));
            const auto [c, s] = random::cos_sin_of_turn<Wide, WideWord>(turn);
            const Wide pair[2] = {radius[k] * c, radius[k] * s};
            // Four of the first kind, four of the second.
            constexpr std::size_t together = width < 4 ? width : 4;
            for (std::size_t part = 0; part < width; part += together) {
                const std::size_t at = width * k + part;
                for (std::size_t kind = 0; kind < 2; ++kind) {
                    const auto* from = reinterpret_cast<const double*>(&pair[kind]) + part;
                    __builtin_memcpy(normal + at / 4 * 8 + at % 4 + 4 * kind, from, together * sizeof(double));
                }
            }
        }
        for (std::size_t i = 0; i < 2 * used * width; i += width) {
            store(normal + i, median * math::detail::exp_of_moderate<Wide, WideWord>(sigma * load(normal + i)));
        }
        __builtin_memcpy(out + done, normal, (left < 8 * n ? left : 8 * n) * sizeof(double));
    }
}

template <class Vector, class T>
inline Vector load_any(const T* at) {  // from anywhere
    Vector out;
    __builtin_memcpy(&out, at, sizeof out);
    return out;
}

inline Wide exponential(Wide x) { return math::detail::exp_of_any<Wide, WideWord>(x); }

inline WideWord load(const std::uint64_t* at) { return *reinterpret_cast<const WideWord*>(at); }
inline void store(std::uint64_t* at, WideWord value) { *reinterpret_cast<WideWord*>(at) = value; }

// Whole numbers from 0 to 2^51, which stand in the low bits of 2^52 + k.
constexpr double whole = 0x1p52;
inline WideWord to_word(Wide x) { return __builtin_bit_cast(WideWord, x + whole) & ((std::uint64_t{1} << 52) - 1); }
inline Wide to_number(WideWord k) { return __builtin_bit_cast(Wide, k | 0x4330000000000000) - whole; }

// In which places a comparison holds, whose results are all bits or none.
template <class M>
inline unsigned places(M comparison) {
    const WideWord holds = __builtin_bit_cast(WideWord, comparison);
#if defined(__AVX512F__)
    return _mm512_test_epi64_mask((__m512i)holds, (__m512i)holds);
#elif defined(__AVX2__)
    return static_cast<unsigned>(_mm256_movemask_pd((__m256d)holds));
#elif defined(__SSE2__)
    return static_cast<unsigned>(_mm_movemask_pd((__m128d)holds));
#else
    unsigned out = 0;
    for (int k = 0; k < width; ++k) out |= static_cast<unsigned>(holds[k] & 1) << k;
    return out;
#endif
}

// Wide vectors are worth looking at all numbers.
int first_outside(const double* numbers, int from, int count, double lower, double upper) {
    if constexpr (width < 4) {
        while (from < count && !(numbers[from] <= lower || numbers[from] >= upper)) ++from;
        return from;
    }
    if (from == count) return count;
    const Wide low = lower - Wide{}, high = upper - Wide{};
    std::uint64_t outside = 0;
    for (int i = 0; i < block_steps; i += width) {
        const Wide x = load_any<Wide>(numbers + i);
        outside |= std::uint64_t{places((x <= low) | (x >= high))} << i;
    }
    outside &= ~std::uint64_t{0} << from & ~std::uint64_t{0} >> (64 - count);
    return outside == 0 ? count : __builtin_ctzll(outside);
}

// How many triggers of a window are crossed, which are its first.
constexpr std::size_t window = 8;
inline std::size_t crossed_of_window(const double* trigger, double factor, double least) {
#if defined(__AVX512F__)
    static_assert(width == window);
    const auto crossed = crosses(load_any<Wide>(trigger), factor - Wide{}, least - Wide{});
    return static_cast<std::size_t>(__builtin_popcount(places(crossed)));
#else
    const Double4 by = factor - Double4{}, bound = least - Double4{};
    const Word4 crossed = __builtin_bit_cast(Word4, crosses(load_any<Double4>(trigger), by, bound)) +
                          __builtin_bit_cast(Word4, crosses(load_any<Double4>(trigger + 4), by, bound));
    return -((crossed[0] + crossed[2]) + (crossed[1] + crossed[3]));
#endif
}

// Of several states, side by side where the family of the impact can tell of them.
template <class Impact>
inline Wide displacement(const Market<Impact>& market, Wide sold, Wide recovering) {
    if constexpr (Impact::odd) {
        return market.displacement(sold, recovering);
    } else {
        Wide out;
        for (int k = 0; k < width; ++k) out[k] = market.displacement(sold[k], recovering[k]);
        return out;
    }
}

// Where `where` holds.
template <class M>
inline void update(double* at, M where, Wide value) {
    store(at, where ? value : load(at));
}

// Whether to pass by what is done where a mask holds: not by a wide vector, where it seldom holds nowhere.
template <class M>
inline bool passes_by(M mask) {
    return width < 8 && places(mask) == 0;
}

bool begin_visits(Visits& v, const MarketData& data) {
    WideWord any{};
    with_market(data, 1.0, [&](const auto& market) {
        for (std::size_t i = 0; i < v.count; i += width) {
            const auto due = load(v.begins + i) != 0;
            if (passes_by(due)) {
                store(v.both + i, WideWord{});
                continue;
            }
            const Wide before = load(v.recovering + i), recovering = before * load(v.left + i), f = load(v.log_start + i);
            const Wide g = displacement(market, load(v.sold + i), recovering), mark = market.mark_displacement(g);
            const auto falls = falls_to(f, load(v.log_trigger[0] + i), mark);
            const auto rises = rises_to(f, load(v.log_trigger[1] + i), mark);
            const auto both = due & falls & rises, begins = due & ~both;
            any |= __builtin_bit_cast(WideWord, both);
            store(v.both + i, __builtin_bit_cast(WideWord, both));
            store(v.begins + i, WideWord{});
            const auto told = [&](std::uint64_t* at, WideWord value) { store(at, begins ? value : load(at)); };
            told(v.may_cross + i, __builtin_bit_cast(WideWord, falls | rises));
            told(v.is_short + i, __builtin_bit_cast(WideWord, rises) & 1);
            update(v.before + i, begins, before);
            update(v.recovering + i, begins, recovering);
            update(v.recovered + i, begins, recovering - (load(v.quantity[0] + i) - load(v.quantity[1] + i)));
            update(v.waves_here + i, begins, Wide{});
            update(v.displacement + i, begins, g);
            update(v.highest + i, begins, g);
            update(v.lowest + i, begins, g);
            update(v.mark_displacement + i, begins, mark);
        }
    });
    return places(any) != 0;
}

// Step by step over all, so that the memory each needs is on its way while others are looked at. Triggers are compared a
// window at a time, about where the guide has the end: what that costs does not depend on where in it the end is.
void search_ends(Visits& v) {
    alignas(64) Visits::Numbers factor, least, past;
    alignas(64) Visits::Words cell, pair, from, crossed;
    const std::size_t count = v.count;
    const SearchedSide &longs = v.sides[0], &shorts = v.sides[1];
    for (std::size_t i = 0; i < count; i += width) {
        const auto is_short = load(v.is_short + i) != 0;
        const auto of_side = [&](double for_longs, double for_shorts) {
            return is_short ? Wide{} + for_shorts : Wide{} + for_longs;
        };
        const Wide displacement = load(v.mark_displacement + i), log_start = load(v.log_start + i);
        const Wide sign = of_side(1.0, -1.0), last = of_side(longs.guide.last, shorts.guide.last);
        const Wide start = exponential(log_start), by = sign * exponential(displacement);
        const Wide bound = signed_start(sign, start);
        // At a price of 0 or inf the test alone would find more than there are.
        const Wide closed = is_short ? load(v.closed[1] + i) : load(v.closed[0] + i);
        const auto left = closed < of_side(static_cast<double>(longs.positions), static_cast<double>(shorts.positions));
        const Wide next = is_short ? load(v.next[1] + i) : load(v.next[0] + i);
        store(v.start + i, start);
        store(factor + i, by);
        store(least + i, bound);
        store(crossed + i, __builtin_bit_cast(WideWord, left & crosses(next, by, bound)) & load(v.may_cross + i));
        const Wide ahead = (log_start - displacement - of_side(longs.guide.first, shorts.guide.first)) *
                           of_side(longs.guide.scale, shorts.guide.scale);
        const Wide within = ahead < last ? ahead : last;
        const WideWord at = to_word(within > 0.5 ? within - 0.5 : Wide{});
        store(cell + i, at);
        store(past + i, (within > 0.0 ? within : Wide{}) - to_number(at));
        store(v.end + i, to_word(closed));
    }
    std::size_t search[Visits::room], searched = 0, ended = 0;
    for (std::size_t i = 0; i < count; ++i) {
        search[searched] = v.through[ended] = i;
        searched += crossed[i] & 1;
        ended += ~crossed[i] & 1;
    }
    v.ended = ended;
    for (std::size_t k = 0; k < searched; ++k) {
        const std::size_t i = search[k];
        __builtin_memcpy(pair + i, v.sides[v.is_short[i]].guide.crossed + cell[i], sizeof *pair);
    }
    for (std::size_t i = 0; i < count; i += width) {
        const WideWord edges = load(pair + i);
        const Wide low = to_number(edges & 0xffffffff), high = to_number(edges >> 32);
        const Wide before = low + load(past + i) * (high - low) + (0.5 - window / 2);
        const Wide next = to_number(load(v.end + i)) + 1.0;
        store(from + i, to_word(before > next ? before : next));
    }
    for (std::size_t k = 0; k < searched; ++k) {
        const std::size_t i = search[k];
        const SearchedSide& side = v.sides[v.is_short[i]];
        __builtin_prefetch(side.trigger + from[i] + 2);
        __builtin_prefetch(side.trigger + from[i] + 6);
    }
    for (std::size_t k = 0; k < searched; ++k) {
        const std::size_t i = search[k], is_short = v.is_short[i];
        const SearchedSide& side = v.sides[is_short];
        const double* trigger = side.trigger;
        const std::size_t begin = from[i], next = v.end[i] + 1, positions = side.positions;
        const bool inside = begin + window <= positions;
        const std::size_t found = inside ? crossed_of_window(trigger + begin, factor[i], least[i]) : 0;
        std::size_t end = begin + found;
        // One branch that is seldom taken, where the end may be further off.
        if (!inside | (found == window) | ((found == 0) & (begin != next))) [[unlikely]] {
            const auto crossed_at = [&](std::size_t at) { return crosses(trigger[at], factor[i], least[i]); };
            end = gallop(next, positions, end, crossed_at);
        }
        v.end[i] = end;
        v.next[is_short][i] = end < positions ? trigger[end] : side.none;
        __builtin_prefetch(side.quantity_sum + end);
    }
}

// Logarithms of triggers, of which those wanted may be none.
inline Wide log_of_triggers(Wide trigger, WideWord wanted) {
    const auto plain = (trigger >= 0x1p-1022) & (trigger < math::infinity);
    Wide out = math::detail::log_of(math::detail::split<Wide, WideWord>(trigger));
    if (places(wanted & ~__builtin_bit_cast(WideWord, plain)) != 0) [[unlikely]] {
        for (int k = 0; k < width; ++k) {
            if (wanted[k] != 0) out[k] = math::log(trigger[k]);
        }
    }
    return out;
}

void close_waves(Visits& v, const MarketData& data) {
    alignas(64) Visits::Numbers found;
    for (std::size_t i = 0; i < v.count; ++i) found[i] = v.sides[v.is_short[i]].quantity_sum[v.end[i]];
    with_market(data, 1.0, [&](const auto& market) {
        for (std::size_t i = 0; i < v.count; i += width) {
            const auto is_short = load(v.is_short + i) != 0;
            const auto of_side = [&](const Visits::Numbers* column) {
                return is_short ? load(column[1] + i) : load(column[0] + i);
            };
            const Wide end = to_number(load(v.end + i));
            const auto moves = of_side(v.closed) != end, ends = ~moves;
            for (int side = 0; side < 2; ++side) {
                const auto closes = side == 1 ? is_short : ~is_short;
                update(v.closed[side] + i, closes, end);
                update(v.quantity[side] + i, closes, load(found + i));
            }
            const Wide closed = load(v.quantity[0] + i) - load(v.quantity[1] + i);
            const Wide sold = moves ? load(v.outside + i) + closed : load(v.sold + i);
            Wide recovering = moves ? load(v.recovered + i) + closed : load(v.recovering + i);
            const Wide g = moves ? displacement(market, sold, recovering) : load(v.displacement + i);
            const Wide up = load(v.highest + i), down = load(v.lowest + i);
            const Wide highest = g > up ? g : up, lowest = g < down ? g : down;
            const Wide waves = load(v.waves_here + i) + (moves ? Wide{} + 1.0 : Wide{});
            store(v.sold + i, sold);
            store(v.displacement + i, g);
            store(v.mark_displacement + i, market.mark_displacement(g));
            store(v.highest + i, highest);
            store(v.lowest + i, lowest);
            store(v.waves_here + i, waves);

            if (passes_by(ends)) {
                store(v.recovering + i, recovering);
                continue;
            }
            // What recovers is counted from the last trade, however often we looked.
            const auto traded = ends & (waves > 0.0), looked = ends & ~traded;
            recovering = looked ? load(v.before + i) : recovering;
            store(v.recovering + i, recovering);
            update(v.since + i, traded, load(v.step + i));
            update(v.waves + i, ends, load(v.waves + i) + waves);
            const Wide log_next = log_of_triggers(of_side(v.next), __builtin_bit_cast(WideWord, traded));
            update(v.log_trigger[0] + i, traded & ~is_short, log_next);
            update(v.log_trigger[1] + i, traded & is_short, log_next);
            Extremes<Wide> extremes{load(v.low + i), load(v.high + i), load(v.low_step + i)};
            extremes.meet(ends, load(v.log_start + i), highest, lowest, load(v.step + i));
            store(v.low + i, extremes.low);
            store(v.high + i, extremes.high);
            store(v.low_step + i, extremes.low_step);
            const auto exhausted = ends & (infinite(highest) | infinite(lowest));
            store(v.exhausted + i, load(v.exhausted + i) | __builtin_bit_cast(WideWord, exhausted));
            const Course<Wide> course(g, v.lasts ? g : market.permanent_displacement(sold));
            Bounds<Wide> bounds(market, load(v.log_trigger[0] + i), load(v.log_trigger[1] + i), course);
            const auto glides = course.stays();
            bounds.keep_within(~glides, extremes, course);
            store(v.lower + i, bounds.lower);
            store(v.upper + i, bounds.upper);
            store(v.glides + i, __builtin_bit_cast(WideWord, glides));
        }
    });
}

typedef std::int8_t Byte4 __attribute__((vector_size(4)));
typedef std::int64_t Integer4 __attribute__((vector_size(32)));
// Several vectors at a time, since the steps of one wait for each other.
bool tier_prices(const TierLines& tiers, const TierColumns& in, std::size_t count, double* out) {
    constexpr int wide = 4;
    Word4 good = ~Word4{};
    const auto hold = [&](auto mask) { good &= __builtin_bit_cast(Word4, mask); };
    for (std::size_t i = 0; i < count; i += 4 * wide) {
        Double4 t[wide], highest[wide], lowest[wide];
        Integer4 is_high[wide];
        for (int v = 0; v < wide; ++v) {
            const std::size_t at = i + 4 * v;
            const auto side = __builtin_convertvector(load_any<Byte4>(in.side + at), Integer4);
            const auto q = load_any<Double4>(in.quantity + at), entry = load_any<Double4>(in.entry_price + at);
            const auto needed = load_any<Double4>(in.other_maintenance + at), fee = load_any<Double4>(in.fee + at);
            const auto margin = load_any<Double4>(in.margin + at), other_pnl = load_any<Double4>(in.other_pnl + at);
            const Double4 collateral = margin + other_pnl - needed;
            hold(q > 0.0);
            hold(q < math::infinity);
            hold(entry > 0.0);
            hold(entry < math::infinity);
            hold(needed >= 0.0);
            hold(collateral - collateral == 0.0);
            const Word4 sign = __builtin_bit_cast(Word4, side) & 0x8000000000000000;
            const auto sq = __builtin_bit_cast(Double4, __builtin_bit_cast(Word4, q) ^ sign);
            t[v] = tiers.inverse ? collateral - fee + sq / entry : sq * entry - collateral + fee;
            is_high[v] = tiers.inverse ? side < 0 : side > 0;
            highest[v] = t[v] * tiers.high[0];
            lowest[v] = t[v] * tiers.low[0];
        }
        for (std::size_t k = 1; k < tiers.count; ++k) {
            for (int v = 0; v < wide; ++v) {
                const Double4 rest = t[v] - tiers.offset[k], high = rest * tiers.high[k], low = rest * tiers.low[k];
                highest[v] = high > highest[v] ? high : highest[v];
                lowest[v] = low < lowest[v] ? low : lowest[v];
            }
        }
        for (int v = 0; v < wide; ++v) {
            const std::size_t at = i + 4 * v;
            const auto q = load_any<Double4>(in.quantity + at);
            const Double4 notional = is_high[v] ? highest[v] : lowest[v];
            const Double4 price = tiers.inverse ? q / notional : notional / q;
            __builtin_memcpy(out + at, &price, sizeof price);
        }
    }
    return (good[0] & good[1] & good[2] & good[3]) != 0;
}

void linear_proceeds(const LinearMarket& m, double start, Trades& trades) {
    const Market<LinearImpact> market{{m.coefficient}, m.permanent, m.spread, 0.0, m.liquidity, nullptr};
    const std::size_t count = trades.count;
    for (std::size_t i = count; i % width != 0; ++i) {
        trades.sold[i] = trades.sold[count - 1];
        trades.recovering[i] = trades.recovering[count - 1];
        trades.quantity[i] = trades.quantity[count - 1];
    }
    Wide lacking{};  // not a number where one of a lane's is not plain
    for (std::size_t i = 0; i < count; i += width) {
        const auto at = [&](double* column) -> Wide& { return *reinterpret_cast<Wide*>(column + i); };
        const Wide money =
            market.plain_proceeds<Wide, WideWord>(start, at(trades.sold), at(trades.recovering), at(trades.quantity));
        at(trades.money) = money;
        lacking += money - money;
    }
    double any = 0.0;
    for (int k = 0; k < width; ++k) any += lacking[k];
    if (any == 0.0) return;
    for (std::size_t i = 0; i < count; ++i) {
        if (trades.money[i] == trades.money[i]) continue;
        trades.money[i] = market.proceeds(start, {trades.sold[i], trades.recovering[i]}, trades.quantity[i]);
    }
}

}  // namespace

extern const Kernels kernel_table;
const Kernels kernel_table{FLUSHPOINT_TEXT(FLUSHPOINT_ARCH),
                           shock_columns,
                           answer_shocks,
                           normal_returns,
                           student_returns,
                           garch_returns,
                           accumulate,
                           normal_mixture,
                           log_normals,
                           first_outside,
                           begin_visits,
                           search_ends,
                           close_waves,
                           tier_prices,
                           linear_proceeds};

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
