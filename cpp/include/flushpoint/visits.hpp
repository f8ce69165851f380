// Paths that visit a sorted book side by side, each in a place of the columns below: what a visit changes, and the
// cascade that it sets off. Such a cascade stays in one side of the book, since none of the other side is crossed at its
// start and its own trades only move the mark away from there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flushpoint/guide.hpp"

namespace flushpoint {

// One side of a sorted book, to be searched.
struct SearchedSide {
    GuideView guide;
    const double* trigger;
    const double* quantity_sum;
    std::uint64_t positions;
    double none;  // for a trigger, where none is left

    SearchedSide(const SideView& side, bool shorts, const GuideView& by)
        : guide(by),
          trigger(side.trigger),
          quantity_sum(side.quantity_sum),
          positions(side.count),
          none(shorts ? math::infinity : 0.0) {}
};

struct Visits {
    static constexpr std::size_t most = 256;
    static constexpr std::size_t room = most + 8;  // so that what belongs together is not all in one set of the cache
    using Numbers = double[room];
    using Words = std::uint64_t[room];  // of masks, all bits or none, where nothing else is said

    Visits(const SearchedSide& longs, const SearchedSide& shorts, bool lasting)
        : sides{longs, shorts}, lasts(lasting) {}

    SearchedSide sides[2];
    bool lasts;             // all displacement
    std::size_t count = 0;  // of the places in use

    // What visits leave to each other; of longs and shorts, where there are two.
    alignas(64) Numbers sold, recovering, outside;  // see cascade.hpp; as of the last trade
    alignas(64) Numbers since;                      // the step of that
    alignas(64) Numbers displacement;
    alignas(64) Numbers closed[2], quantity[2];     // whole numbers; their quantity
    alignas(64) Numbers next[2], log_trigger[2];    // the next trigger, and its logarithm
    alignas(64) Numbers low, high, low_step;
    alignas(64) Numbers waves;  // whole numbers
    alignas(64) Words exhausted;
    // When to visit next: outside these. Whether the displacement stays until then, so that extremes are yet to be told.
    alignas(64) Numbers lower, upper;
    alignas(64) Words glides;
    // Said of a visit that is to begin; none does in a place that is not in use.
    alignas(64) Words begins{};
    alignas(64) Numbers log_start, step;
    alignas(64) Numbers left;  // of what was recovering
    // Told of it: whether triggers of both sides may be crossed, in which case it does not begin, or of one, and which.
    alignas(64) Words both;
    alignas(64) Words may_cross;
    alignas(64) Words is_short;  // 0 or 1
    // Of the visit at hand.
    alignas(64) Numbers before;     // what was recovering at the last trade
    alignas(64) Numbers recovered;  // what recovers, but was not closed by positions
    alignas(64) Numbers waves_here;
    alignas(64) Numbers mark_displacement, highest, lowest;
    // Found: the start price, and the end of those crossed; the places in which none is.
    alignas(64) Numbers start;
    alignas(64) Words end;
    std::size_t ended, through[room];

    // Puts what the last one is in the place of another.
    void drop(std::size_t i) {
        --count;
        const auto move = [&](auto&... column) { ((column[i] = column[count]), ...); };
        for (int side = 0; side < 2; ++side) move(closed[side], quantity[side], next[side], log_trigger[side]);
        move(sold, recovering, outside, since, displacement, low, high, low_step, waves, exhausted, lower, upper, glides,
             begins, log_start, step, left, both, may_cross, is_short, before, recovered, waves_here, mark_displacement,
             highest, lowest);
        begins[count] = 0;
    }
};

}  // namespace flushpoint
