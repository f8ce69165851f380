#include "flushpoint/response.hpp"

#include <algorithm>
#include <utility>

#include "flushpoint/kernels.hpp"

namespace flushpoint {

namespace {

constexpr std::size_t block = 1 << 15;

template <class Work>
void in_blocks(std::size_t count, int threads, const Poll& poll, Work&& work) {
    parallel_for((count + block - 1) / block, threads, poll,
                 [&](std::size_t b) { work(b * block, std::min(count, (b + 1) * block)); });
}

// A row for each new running minimum of the keys, and one for the end.
std::vector<Step> rows_of(const std::vector<double>& keys) {
    std::size_t steps = 0;
    double least = math::infinity;
    for (const double key : keys) {
        steps += key < least;
        least = std::min(least, key);
    }
    std::vector<Step> rows;
    rows.reserve(steps + 1);
    least = math::infinity;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (keys[i] < least) {
            least = keys[i];
            rows.push_back({least, 1.0, static_cast<std::int64_t>(i)});
        }
    }
    // A key of -inf is a position that no question can reach: it ends the map just as the end of the book does.
    if (rows.empty() || rows.back().key != -math::infinity) {
        rows.push_back({-math::infinity, 1.0, static_cast<std::int64_t>(keys.size())});
    }
    return rows;
}

}  // namespace

std::vector<Step> shock_steps(const SideView& side, const MarketData& market, bool shorts, int threads,
                              const Poll& poll) {
    std::vector<double> keys(side.count);
    in_blocks(side.count, threads, poll, [&](std::size_t begin, std::size_t end) {
        kernels().shock_keys(side, market, shorts, begin, end, keys.data());
    });
    std::vector<Step> rows = rows_of(keys);
    in_blocks(rows.size(), threads, poll, [&](std::size_t begin, std::size_t end) {
        kernels().price_factors(side, market, shorts, rows.data() + begin, end - begin);
    });
    return rows;
}

std::vector<Step> sale_steps(const SideView& side, const MarketData& data, bool shorts, int threads,
                             const Poll& poll) {
    // The least sale that, with what closed before, brings the mark to the trigger.
    std::vector<double> keys(side.count);
    with_market(data, 1.0, [&](const auto& market) {
        in_blocks(side.count, threads, poll, [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; ++i) {
                const double ratio = shorts ? side.trigger[i] / data.price : data.price / side.trigger[i];
                const double needed = (math::log(ratio) - tie) / market.mark_weight;
                keys[i] = needed < math::infinity
                              ? side.quantity_sum[i] - market.impact.inverse(needed, shorts, market.permanent)
                              : -math::infinity;
            }
        });
    });
    return rows_of(keys);
}

StepsView table_layout(const std::vector<Step>& rows) {
    const std::size_t steps = rows.size() - 1;
    constexpr std::size_t slots_per_step = 4, most_slots = std::size_t{1} << 25;
    StepsView view{rows.data(), steps, nullptr, std::clamp<std::size_t>(slots_per_step * steps, 1, most_slots), 0.0, 0.0};
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
    std::size_t row = 0;
    for (std::size_t s = 0; s < view.slots; ++s) {
        while (row < view.steps && slot(view, view.rows[row].key) < s) ++row;
        first[s] = static_cast<std::int32_t>(row);
    }
    first[view.slots] = static_cast<std::int32_t>(view.steps);
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
            // The table proposes, with an inverse that is rounded; the crossing test decides.
            const auto happens = [&](std::size_t step) {
                const auto position = static_cast<std::size_t>(steps.rows[step].closed);
                const double sold = sold_before(position);
                const double factor = market.mark_factor(market.displacement({sold, sold}));
                return buys ? short_crossed(side.trigger[position], factor, data.price)
                            : long_crossed(side.trigger[position], factor, data.price);
            };
            const std::size_t at = slot(steps, key);
            std::size_t row = find_row(steps, static_cast<std::size_t>(steps.first[at]), at, key);
            while (row < steps.steps && happens(row)) ++row;
            while (row > 0 && !happens(row - 1)) --row;
            const auto closed = static_cast<std::size_t>(steps.rows[row].closed);
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
