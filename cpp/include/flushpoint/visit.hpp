// When a path must be looked at, and how far it has come: one path, or several side by side. D is a number or a vector
// of them, M what a comparison of two gives. x = log price, f = exogenous log price, as in market.hpp.
#pragma once

#include "flushpoint/cascade.hpp"

namespace flushpoint {
inline namespace FLUSHPOINT_ARCH {

// A step is looked at only when it could cross a trigger or set a new extreme, by bounds that hold until the next look;
// this is their slack, far above the rounding of logarithms and the tie of the crossing test.
inline constexpr double slack = 4e-12;

// An infinite log price is one that nothing reaches any more.
template <class D>
inline D shifted(D log_price, D by) {
    return infinite(log_price) ? log_price : log_price + by;
}

// Whether, perhaps, the first long's trigger is crossed at f, and the first short's.
template <class D>
inline auto falls_to(D f, D log_trigger, D mark_displacement) {
    return f <= log_trigger + mark_displacement + slack;
}
template <class D>
inline auto rises_to(D f, D log_trigger, D mark_displacement) {
    return f >= log_trigger + mark_displacement - slack;
}

// The lowest and the highest x of a path, and the step of the lowest.
template <class D>
struct Extremes {
    D low, high, low_step;

    // A step at whose f the displacement has been up to `most`, and down to `least`.
    template <class M>
    void meet(M where, D f, D most, D least, D step) {
        const D lower = f - most, upper = f - least;
        const auto sinks = where & (lower < low);
        low = sinks ? lower : low;
        low_step = sinks ? step : low_step;
        high = (where & (high < upper)) ? upper : high;
    }
    // Steps of a path whose f have been in [lowest, highest], the lowest at step(), while the displacement stayed.
    template <class Step>
    void pass(D lowest, D highest, D displacement, Step&& step) {
        if (lowest - displacement < low) {
            low = lowest - displacement;
            low_step = static_cast<D>(step());
        }
        if (high < highest - displacement) high = highest - displacement;
    }
};

// Until the next trade the displacement goes from where it is to where it rests, and never back.
template <class D>
struct Course {
    D most, least;

    Course(D now, D rest) : most(now < rest ? rest : now), least(rest < now ? rest : now) {}
    auto stays() const { return (most == least) & (infinite(most) == 0); }
};

// Those f between which nothing happens.
template <class D>
struct Bounds {
    D lower, upper;

    template <class Impact>
    Bounds(const Market<Impact>& market, D long_trigger, D short_trigger, const Course<D>& course)
        : lower(shifted(long_trigger, market.mark_displacement(course.most) + slack)),
          upper(shifted(short_trigger, market.mark_displacement(course.least) - slack)) {}

    // Nor a new extreme is set.
    template <class M>
    void keep_within(M where, const Extremes<D>& extremes, const Course<D>& course) {
        const D low = shifted(extremes.low, course.most), high = shifted(extremes.high, course.least);
        lower = (where & (lower < low)) ? low : lower;
        upper = (where & (high < upper)) ? high : upper;
    }
};

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
