// Compiled once per instruction set; see arch.hpp. Nothing here may use the standard library's templates.
#include "flushpoint/kernels.hpp"

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

}  // namespace

extern const Kernels kernel_table;
const Kernels kernel_table{FLUSHPOINT_TEXT(FLUSHPOINT_ARCH), shock_columns, answer_shocks};

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
