#include "flushpoint/cascade.hpp"

namespace flushpoint {

std::size_t crossed(const SideView& side, bool shorts, double price) {
    return SortedSide{side, shorts}.take(1.0, price).size();
}

CascadeTotals cascade(const BookView& book, const MarketData& data, const Scenario& scenario, std::vector<Wave>& waves) {
    return with_market(data, scenario.liquidity, [&](const auto& market) {
        return run_cascade(book, market, data.price, scenario,
                           [&](double start, const Trading& before, Range sold, Range bought) {
                               waves.push_back(wave_of(book, start, before, sold, bought));
                           });
    });
}

double cascade_proceeds(const BookView& book, const MarketData& data, const Scenario& scenario) {
    double sum = 0.0;
    with_market(data, scenario.liquidity, [&](const auto& market) {
        run_cascade(book, market, data.price, scenario,
                    [&](double start, const Trading& before, Range sold, Range bought) {
                        const double longs = sold.sum(book.longs.quantity_sum), shorts = bought.sum(book.shorts.quantity_sum);
                        sum = math::added(sum, wave_proceeds(market, start, before.state, longs, shorts));
                    });
    });
    return sum;
}

Money cascade_positions(const BookView& book, const MarketData& data, const Scenario& scenario,
                        const PositionOutcome& out) {
    Money total;
    with_market(data, scenario.liquidity, [&](const auto& market) {
        const SortedSide longs{book.longs, false}, shorts{book.shorts, true};
        const auto settle = [&](bool is_short, std::size_t i, double quantity, double proceeds) {
            const std::int32_t* index = is_short ? out.short_index : out.long_index;
            const double* bankruptcy = is_short ? out.short_bankruptcy : out.long_bankruptcy;
            if (out.proceeds) out.proceeds[index[i]] = proceeds;
            if (!bankruptcy) return;
            const Money money = Money::of(quantity, bankruptcy[i], proceeds);
            total.add(money);
            if (out.shortfall) out.shortfall[index[i]] = money.shortfall;
            if (out.surplus) out.surplus[index[i]] = money.surplus;
        };
        run_cascade(book, market, data.price, scenario,
                    [&](double start, const Trading& before, Range sold, Range bought) {
                        wave_positions(market, start, before.state, longs, sold, shorts, bought, settle);
                    });
    });
    return total;
}

}  // namespace flushpoint
