#include "flushpoint/guide.hpp"

#include <algorithm>
#include <bit>

#include "flushpoint/math.hpp"

namespace flushpoint {

namespace {
// Small enough to stay in cache, with those of the other side; no more samples than that take long to read.
constexpr std::size_t most_cells = std::size_t{1} << 15;
constexpr std::size_t most_samples = std::size_t{1} << 15;
}  // namespace

// From one trigger in so many, with straight lines between.
Guide::Guide(const SideView& side, bool shorts, double limit) {
    if (side.count < 2) return;
    const double sign = shorts ? 1.0 : -1.0, first = math::log(side.trigger[0]);
    const auto distance = [&](std::size_t i) { return sign * (math::log(side.trigger[i]) - first); };
    std::size_t end = 0;  // the last that the grid holds
    for (std::size_t step = std::bit_floor(side.count - 1); step > 0; step /= 2) {
        if (end + step < side.count && distance(end + step) <= sign * (limit - first)) end += step;
    }
    const std::size_t cells = std::min(end + 1, most_cells), stride = end / most_samples + 1;
    const double width = distance(end) / static_cast<double>(cells);
    if (!(width > 0.0)) return;
    first_ = first;
    scale_ = sign / width;
    crossed_.resize(cells + 1);
    std::size_t edge = 0, place = 0;
    double from = 0.0;
    while (place < end) {
        const std::size_t next = std::min(place + stride, end);
        const double to = distance(next), density = static_cast<double>(next - place) / (to - from);
        for (; edge <= cells && static_cast<double>(edge) * width <= to; ++edge) {
            const double ahead = (static_cast<double>(edge) * width - from) * density;
            crossed_[edge] = static_cast<std::uint32_t>(place) + (ahead > 0.0 ? static_cast<std::uint32_t>(ahead) : 0);
        }
        place = next;
        from = to;
    }
    for (; edge <= cells; ++edge) crossed_[edge] = static_cast<std::uint32_t>(end);
}

}  // namespace flushpoint
