// Bytes turned into inputs of the engine, as far as its contract reaches, and checks that end the run where they fail.
//
// The contract, which the Python layer enforces and the engine relies on:
//   book      sides +1 or -1; quantities positive and finite; triggers at least 0, those of longs finite, those of shorts
//             positive; bankruptcy prices at least 0 and finite; the sums of quantity and of quantity x trigger finite
//   market    price positive and finite; coefficients finite and at least 0; exponents from 0.01 to 100; thinning positive; a
//             depth's columns positive and rising; 0 <= spread < 2; 0 <= mark_weight <= 1; support by falling price, below the
//             market's
//   scenario  shock above -1; sale finite; liquidity positive and finite; refill from 0 to 1
//   rest      maps, stress and paths begin with no position crossed
// Within it anything goes: an input is either moderate, and then sums are held to each other closely, or extreme: numbers
// from the least denormal one to 1e290, where only what holds for any numbers is asked for.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "books.hpp"
#include "flushpoint/market.hpp"
#include "impacts.hpp"

namespace fuzz {

namespace fp = flushpoint;

inline void check(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

// Whether numbers that rounding alone may tell apart are alike, beside the size of what was added up.
inline bool near(double a, double b, double size) {
    return a == b || std::abs(a - b) <= 1e-9 * (size + std::abs(a) + std::abs(b));
}

// Zero once the bytes are used up.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : bytes_(data, size), extreme_(flag()) {}

    bool extreme() const { return extreme_; }
    std::size_t below(std::size_t count) { return byte() % count; }
    bool flag() { return byte() % 2 == 1; }
    // Both ends included
    double between(double low, double high) {
        const double high_byte = byte(), low_byte = byte();
        return low + (high - low) * ((256.0 * high_byte + low_byte) / 65535.0);
    }
    double positive(double usual) {
        static constexpr double far[] = {0x1p-1074, 1e-310, 0x1p-1022, 1e-150, 1e-30, 1e-12, 1.0,
                                         1.0 - 0x1p-53, 1e12, 1e30, 1e150, 1e290};
        if (extreme_ && below(4) == 0) return far[below(std::size(far))];
        return usual * between(0.001, 2.0);
    }
    double not_negative(double usual) { return flag() ? positive(usual) : 0.0; }
    double signed_number(double usual) { return flag() ? positive(usual) : -not_negative(usual); }
    std::vector<double> rising(std::size_t count, double usual) {
        std::vector<double> out;
        double last = 0.0;
        for (std::size_t i = 0; i < count; ++i) {
            const double next = last + positive(usual);
            last = next > last ? next : std::nextafter(last, std::numeric_limits<double>::infinity());
            out.push_back(last);
        }
        return out;
    }

private:
    std::uint8_t byte() {
        if (bytes_.empty()) return 0;
        const std::uint8_t first = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return first;
    }

    std::span<const std::uint8_t> bytes_;
    bool extreme_;
};

inline tests::Impact impact(Input& in) {
    switch (in.below(5)) {
        case 0: return tests::linear(in.not_negative(1e-3));
        case 1: return tests::power(in.not_negative(1e-3), std::clamp(in.positive(1.0), 0.01, 100.0));
        case 2: return tests::square_root(in.not_negative(1e-2), in.not_negative(1.0));
        case 3: return tests::evaporating(in.not_negative(1e-3), in.positive(2.0));
        default: break;
    }
    const std::size_t levels = 1 + in.below(6);
    const std::vector<double> distance = in.rising(levels, 0.02), bids = in.rising(levels, 10.0);
    return tests::depth(distance, bids, in.flag() ? in.rising(levels, 10.0) : bids);
}

// A market that owns its parameters.
class Market {
public:
    explicit Market(Input& in) : impact_(impact(in)) {
        const double price = in.positive(100.0), permanent = in.not_negative(1e-4);
        const double spread = in.flag() ? in.between(0.0, 1.999) : 0.0;
        data = impact_.market(price, permanent, spread, in.flag() ? in.between(0.0, 1.0) : 1.0);
        for (std::size_t left = in.flag() ? in.below(4) : 0; left > 0; --left) {
            const double below = price_.empty() ? price : price_.back();
            const double at = below * in.between(0.5, 0.999);
            if (!(at > 0.0 && at < below)) break;
            price_.push_back(at);
            quantity_.push_back(in.positive(20.0));
        }
        data.support = {price_.data(), quantity_.data(), price_.size()};
    }
    Market(const Market&) = delete;
    Market& operator=(const Market&) = delete;

    fp::MarketData data{};

private:
    tests::Impact impact_;
    std::vector<double> price_, quantity_;
};

// Where `at_rest`, those at moderate distances stand on their side of the price.
inline tests::Positions positions(Input& in, double price, bool at_rest, std::size_t most = 48) {
    constexpr double largest = std::numeric_limits<double>::max();
    tests::Positions out;
    double last = 0.0;
    for (std::size_t left = in.below(most); left > 0; --left) {
        const bool is_long = in.flag();
        const double quantity = in.positive(10.0);
        double trigger = price;
        switch (in.below(8)) {
            case 0: trigger = is_long ? 0.0 : fp::math::infinity; break;  // never
            case 1: trigger = in.positive(price); break;
            default: {
                if (in.below(4) != 0) last = in.between(at_rest ? 1e-5 : -0.2, 0.6);  // or tied with one before
                trigger = price * (is_long ? 1.0 - last : 1.0 + last);
            }
        }
        if (is_long) trigger = std::min(trigger, largest);
        if (!is_long && trigger == 0.0) trigger = 0x1p-1074;
        const double reference = trigger > 0.0 && trigger < fp::math::infinity ? trigger : price;
        out.add(is_long ? 1 : -1, quantity, trigger, std::min(largest, reference * in.between(0.9, 1.1)));
        out.entry.push_back(std::clamp(price * in.between(0.5, 1.5), 0x1p-1074, largest));
    }
    return out;
}

inline bool sums_are_finite(const tests::SortedBook& book) {
    for (const tests::SortedSide* side : {&book.longs, &book.shorts}) {
        if (!std::isfinite(side->quantity_sum.back()) || !std::isfinite(side->notional_sum.back())) return false;
    }
    return true;
}

inline bool at_rest(const tests::SortedBook& book, double price) {
    return fp::crossed(book.longs.view(), false, price) + fp::crossed(book.shorts.view(), true, price) == 0;
}

inline fp::Scenario scenario(Input& in) {
    fp::Scenario out{in.between(-0.6, 0.6), in.flag() ? in.signed_number(20.0) : 0.0,
                     in.flag() ? in.between(0.0, 1.0) : 0.0, in.flag() ? in.positive(1.0) : 1.0};
    if (in.extreme() && in.below(4) == 0) out.shock = in.flag() ? in.positive(1.0) : -1.0 + 0x1p-53;
    return out;
}

// What holds of any cascade of so many positions.
inline void check_totals(const fp::CascadeTotals& t, std::size_t longs, std::size_t shorts) {
    check(t.longs_closed <= longs && t.shorts_closed <= shorts, "no more positions close than there are");
    check(t.waves >= 0, "the number of waves is no less than 0");
    check(!(t.final_price < 0.0) && !(t.low_price > t.high_price), "prices are in order");
}

// Columns of a stress of so many scenarios.
struct StressResult {
    std::vector<double> numbers[5];
    std::unique_ptr<bool[]> exhausted;
    std::vector<std::int64_t> counts[3];

    explicit StressResult(std::size_t count) : exhausted(std::make_unique<bool[]>(count)) {
        for (auto& column : numbers) column.resize(count);
        for (auto& column : counts) column.resize(count);
    }
    fp::StressColumns view() {
        return {numbers[0].data(), numbers[1].data(), numbers[2].data(), numbers[3].data(), exhausted.get(),
                counts[0].data(), counts[1].data(), counts[2].data(), numbers[4].data()};
    }
};

inline bool same(double a, double b) { return tests::same_bits(a, b) || (a != a && b != b); }

}  // namespace fuzz
