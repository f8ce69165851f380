#include "flushpoint/response.hpp"

#include <algorithm>
#include <utility>

#include "flushpoint/kernels.hpp"

namespace flushpoint {

namespace {

std::size_t count_rows(const double* keys, std::size_t count) {
    std::size_t steps = 0;
    double least = math::infinity;
    for (std::size_t i = 0; i < count; ++i) {
        steps += keys[i] < least;
        least = keys[i] < least ? keys[i] : least;
    }
    return steps + (least != -math::infinity);
}

std::unique_ptr<double[]> uninitialised(std::size_t count) { return std::make_unique_for_overwrite<double[]>(count); }

}  // namespace

StepColumns shock_steps(const SideView& side, const MarketData& data, bool shorts, int threads, const Poll& poll) {
    StepColumns out{side.count, uninitialised(side.count), uninitialised(side.count), 1.0, 0};
    in_blocks(side.count, threads, poll, [&](std::size_t begin, std::size_t end) {
        kernels().shock_columns(side, data, shorts, begin, end, out.keys.get(), out.price_factors.get());
    });
    const double all = shorts ? -side.quantity_sum[side.count] : side.quantity_sum[side.count];
    out.last_factor =
        with_market(data, 1.0, [&](const auto& market) { return math::exp(-market.displacement({all, all})); });
    out.rows = count_rows(out.keys.get(), side.count);
    return out;
}

StepColumns sale_steps(const SideView& side, const MarketData& data, bool shorts, int threads, const Poll& poll) {
    StepColumns out{side.count, uninitialised(side.count), nullptr, 1.0, 0};
    // A sale that, with what closed before, surely brings the mark to the trigger: the least one, and a little more for
    // what rounding may do to the inverse and to the crossing test.
    constexpr double margin = 1e-14;
    with_market(data, 1.0, [&](const auto& market) {
        in_blocks(side.count, threads, poll, [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; ++i) {
                const double fall = math::log(shorts ? side.trigger[i] / data.price : data.price / side.trigger[i]);
                const double needed = (fall - tie + margin * (1.0 + fall)) / market.mark_weight;
                if (!(needed > 0.0)) {
                    out.keys[i] = math::infinity;  // crossed beforehand
                } else if (needed < math::infinity) {
                    const double sale = market.impact.inverse(needed, shorts, market.permanent);
                    out.keys[i] = side.quantity_sum[i] - (1.0 + margin) * sale;
                } else {
                    out.keys[i] = -math::infinity;  // no sale brings the mark there
                }
            }
        });
    });
    out.rows = count_rows(out.keys.get(), side.count);
    return out;
}

void write_rows(const StepColumns& columns, Step* rows) {
    // Which keys are new minima is anybody's guess: every position is written, and overwritten if it was none. A key of
    // -inf is a position that no question can reach; it ends the map just as the end of the book does.
    std::size_t row = 0;
    double least = math::infinity;
    for (std::size_t i = 0; i < columns.count && least != -math::infinity; ++i) {
        const double key = columns.keys[i];
        rows[row] = {key, columns.price_factors ? columns.price_factors[i] : 1.0, static_cast<std::int64_t>(i)};
        row += key < least;
        least = key < least ? key : least;
    }
    if (row < columns.rows) rows[row] = {-math::infinity, columns.last_factor, static_cast<std::int64_t>(columns.count)};
}

StepsView table_layout(const Step* rows, std::size_t count) {
    const std::size_t steps = count - 1;
    constexpr std::size_t slots_per_step = 4, most_slots = std::size_t{1} << 25;
    StepsView view{rows, steps, nullptr, std::clamp<std::size_t>(slots_per_step * steps, 1, most_slots), 0.0, 0.0};
    if (steps > 0) {
        // Some far outliers must not crowd the rest into few slots: the last one takes them all.
        const std::size_t outliers = steps / 1000;
        view.top = rows[outliers].key;
        const double range = view.top - rows[steps - 1 - outliers].key;
        if (range > 0.0) view.scale = std::min(static_cast<double>(view.slots) / range, 0x1p1000);
    }
    return view;
}

void fill_table(const StepsView& view, std::int32_t* first) {
    // Count the steps of each slot, then sum: first[s] is the number of steps in the slots before s.
    std::fill_n(first, view.slots + 1, 0);
    for (std::size_t row = 0; row < view.steps; ++row) ++first[slot(view, view.rows[row].key) + 1];
    for (std::size_t s = 0; s < view.slots; ++s) first[s + 1] += first[s];
}

void answer_shocks(const StepsView& longs, const StepsView& shorts, double price, const Questions& questions,
                   const Answers& answers, int threads, const Poll& poll) {
    in_blocks(questions.count, threads, poll, [&](std::size_t begin, std::size_t end) {
        kernels().answer_shocks(longs, shorts, price, {questions.values + begin, end - begin},
                                {answers.final_price + begin, answers.closed + begin});
    });
}

void answer_sales(const StepsView& longs, const StepsView& shorts, const BookView& book, const MarketData& data,
                  const Questions& questions, const Answers& answers, int threads, const Poll& poll) {
    with_market(data, 1.0, [&](const auto& market) {
        const auto answer = [&](double sale) {
            const bool buys = sale < 0.0;
            const StepsView& steps = buys ? shorts : longs;
            const SideView& side = buys ? book.shorts : book.longs;
            const double key = buys ? sale : -sale;
            const auto sold_before = [&](std::size_t position) {
                return sale + (buys ? -side.quantity_sum[position] : side.quantity_sum[position]);
            };
            const auto closes = [&](std::size_t position) {
                const double sold = sold_before(position);
                const double factor = market.mark_factor(market.displacement({sold, sold}));
                return buys ? short_crossed(side.trigger[position], factor, data.price)
                            : long_crossed(side.trigger[position], factor, data.price);
            };
            // The keys promise a little less than is true; the crossing test finds the rest, if any.
            const std::size_t at = slot(steps, key);
            const std::size_t row = find_row(steps, static_cast<std::size_t>(steps.first[at]), at, key);
            auto closed = static_cast<std::size_t>(steps.rows[row].closed);
            while (closed < side.count && closes(closed)) ++closed;
            const double sold = sold_before(closed);
            return std::pair{data.price * math::exp(-market.displacement({sold, sold})), closed};
        };
        in_blocks(questions.count, threads, poll, [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; ++i) {
                const auto [price, closed] = answer(questions.values[i]);
                answers.final_price[i] = price;
                answers.closed[i] = static_cast<std::int64_t>(closed);
            }
        });
    });
}

}  // namespace flushpoint
