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
    return gallop(0, side.count, [&](std::size_t i) {
        return shorts ? short_crossed(side.trigger[i], 1.0, price) : long_crossed(side.trigger[i], 1.0, price);
    });
}

CascadeTotals cascade(const BookView& book, const MarketData& data, const Scenario& scenario, std::vector<Wave>& waves) {
    return with_market(data, scenario.liquidity, [&](const auto& market) {
        return run_cascade(book, market, data.price, scenario, [&](const WaveRanges& w) {
            waves.push_back({w.price, quantity_of(book.longs, w.longs) + quantity_of(book.shorts, w.shorts),
                             static_cast<std::int64_t>(w.longs.size() + w.shorts.size()),
                             notional_of(book.longs, w.longs) + notional_of(book.shorts, w.shorts)});
        });
    });
}

double cascade_proceeds(const BookView& book, const MarketData& data, const Scenario& scenario) {
    const double start = data.price * (1.0 + scenario.shock);
    double sum = 0.0;
    with_market(data, scenario.liquidity, [&](const auto& market) {
        run_cascade(book, market, data.price, scenario, [&](const WaveRanges& w) {
            const double sold = w.longs.sum(book.longs.quantity_sum);
            const double bought = w.shorts.sum(book.shorts.quantity_sum);
            sum += market.proceeds(start, w.before, sold);
            sum += market.proceeds(start, w.before.after(sold), -bought);
        });
    });
    return sum;
}

Money cascade_positions(const BookView& book, const MarketData& data, const Scenario& scenario,
                        const PositionOutcome& out) {
    const double start = data.price * (1.0 + scenario.shock);
    Money total{0.0, 0.0};
    with_market(data, scenario.liquidity, [&](const auto& market) {
        // One side of a wave; sign is +1 for longs, which sell, and -1 for shorts, which buy back.
        const auto settle = [&](State before, const SideView& side, Range range, double sign,
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
        run_cascade(book, market, data.price, scenario, [&](const WaveRanges& w) {
            settle(w.before, book.longs, w.longs, +1.0, out.long_index, out.long_bankruptcy);
            settle(w.before.after(w.longs.sum(book.longs.quantity_sum)), book.shorts, w.shorts, -1.0, out.short_index,
                   out.short_bankruptcy);
        });
    });
    return total;
}

}  // namespace flushpoint
