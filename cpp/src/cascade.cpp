#include "flushpoint/cascade.hpp"

namespace flushpoint {

namespace {
// Sums of few terms term by term, which keeps a small wave exact beside large running sums.
constexpr std::size_t few = 64;

double quantity_of(const SideView& side, Range range) {
    if (range.size() > few) return range.sum(side.quantity_sum);
    double sum = 0.0;
    for (std::size_t i = range.begin; i < range.end; ++i) sum += side.quantity[i];
    return sum;
}
double notional_of(const SideView& side, Range range) {
    if (range.size() > few) return range.sum(side.notional_sum);
    double sum = 0.0;
    for (std::size_t i = range.begin; i < range.end; ++i) sum += side.quantity[i] * side.trigger[i];
    return sum;
}
}  // namespace

std::size_t crossed(const SideView& side, bool shorts, double price) {
    return SortedSide{side, shorts}.take(1.0, price).size();
}

CascadeTotals cascade(const BookView& book, const MarketData& data, const Scenario& scenario, std::vector<Wave>& waves) {
    return with_market(data, scenario.liquidity, [&](const auto& market) {
        return run_cascade(book, market, data.price, scenario,
                           [&](double start, const Trading& before, Range sold, Range bought) {
                               waves.push_back({start * math::exp(-before.displacement),
                                                quantity_of(book.longs, sold) + quantity_of(book.shorts, bought),
                                                static_cast<std::int64_t>(sold.size() + bought.size()),
                                                notional_of(book.longs, sold) + notional_of(book.shorts, bought)});
                           });
    });
}

double cascade_proceeds(const BookView& book, const MarketData& data, const Scenario& scenario) {
    double sum = 0.0;
    with_market(data, scenario.liquidity, [&](const auto& market) {
        run_cascade(book, market, data.price, scenario,
                    [&](double start, const Trading& before, Range longs, Range shorts) {
                        const double sold = longs.sum(book.longs.quantity_sum);
                        const double bought = shorts.sum(book.shorts.quantity_sum);
                        sum += market.proceeds(start, before.state, sold);
                        sum += market.proceeds(start, before.state.after(sold), -bought);
                    });
    });
    return sum;
}

Money cascade_positions(const BookView& book, const MarketData& data, const Scenario& scenario,
                        const PositionOutcome& out) {
    Money total{0.0, 0.0};
    with_market(data, scenario.liquidity, [&](const auto& market) {
        // One side of a wave; sign is +1 for longs, which sell, and -1 for shorts, which buy back.
        const auto settle = [&](double start, State before, const SideView& side, Range range, double sign,
                                const std::int32_t* index, const double* bankruptcy) {
            for (std::size_t i = range.begin; i < range.end; ++i) {
                const double traded = sign * (side.quantity_sum[i] - side.quantity_sum[range.begin]);
                const double quantity = sign * side.quantity[i];
                const double proceeds = market.proceeds(start, before.after(traded), quantity);
                if (out.proceeds) out.proceeds[index[i]] = proceeds;
                if (!bankruptcy) continue;
                const double gain = proceeds - quantity * bankruptcy[i];
                const double shortfall = gain < 0.0 ? -gain : 0.0;
                const double surplus = gain > 0.0 ? gain : 0.0;
                total.shortfall += shortfall;
                total.surplus += surplus;
                if (out.shortfall) out.shortfall[index[i]] = shortfall;
                if (out.surplus) out.surplus[index[i]] = surplus;
            }
        };
        run_cascade(book, market, data.price, scenario,
                    [&](double start, const Trading& before, Range sold, Range bought) {
                        settle(start, before.state, book.longs, sold, +1.0, out.long_index, out.long_bankruptcy);
                        settle(start, before.state.after(sold.sum(book.longs.quantity_sum)), book.shorts, bought, -1.0,
                               out.short_index, out.short_bankruptcy);
                    });
    });
    return total;
}

}  // namespace flushpoint
