// One book: cascades, the same in stress, position by position, and the maps of shocks and of sales.
#include <numeric>

#include "flushpoint/cascade.hpp"
#include "flushpoint/stress.hpp"
#include "input.hpp"
#include "maps.hpp"

namespace {

using namespace fuzz;

// The map's answers are those of cascades.
void check_maps(const tests::SortedBook& book, const fp::MarketData& market, const fp::Scenario& scenario, bool close) {
    const bool of_shocks = scenario.sell == 0.0;
    const auto steps = of_shocks ? fp::shock_steps : fp::sale_steps;
    const tests::Steps longs(steps(book.longs.view(), market, false, 1, {}));
    const tests::Steps shorts(steps(book.shorts.view(), market, true, 1, {}));
    const double question = of_shocks ? scenario.shock : scenario.sell;
    tests::AnswerColumns answers(1);
    if (of_shocks) {
        fp::answer_shocks(longs.view(), shorts.view(), market.price, {&question, 1}, answers.view(), 1, {});
    } else {
        fp::answer_sales(longs.view(), shorts.view(), book.view(), market, {&question, 1}, answers.view(), 1, {});
    }
    const auto closed = static_cast<std::size_t>(answers.closed[0]);
    check(closed <= book.longs.live + book.shorts.live, "the map closes no more positions than there are");
    if (!close) return;
    std::vector<fp::Wave> waves;
    const fp::CascadeTotals t =
        fp::cascade(book.view(), market, {of_shocks ? question : 0.0, of_shocks ? 0.0 : question, 0.0}, waves);
    check(closed == t.longs_closed + t.shorts_closed, "the map closes what a cascade closes");
    check(near(answers.final_price[0], t.final_price, 0.0), "the map's price is a cascade's");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input in(data, size);
    Market market(in);
    fp::Scenario scenario = fuzz::scenario(in);
    const bool mapped = in.flag();
    const tests::SortedBook book(positions(in, market.data.price, mapped));
    if (!sums_are_finite(book)) return 0;

    std::vector<fp::Wave> waves;
    const fp::CascadeTotals t = fp::cascade(book.view(), market.data, scenario, waves);
    check_totals(t, book.longs.live, book.shorts.live);
    check(waves.size() == static_cast<std::size_t>(t.waves), "every wave is told");
    std::int64_t closed = 0;
    for (const fp::Wave& wave : waves) {
        check(wave.count > 0, "a wave closes something");
        closed += wave.count;
    }
    check(closed == static_cast<std::int64_t>(t.longs_closed + t.shorts_closed), "waves add up to what closes");

    StressResult columns(1);
    const auto ignore = [](std::size_t) {};
    const fp::Scenarios one{{&scenario.shock, 0}, {&scenario.sell, 0}, {&scenario.liquidity, 0}, scenario.refill, 1};
    fp::stress(book.view(), market.data, one, columns.view(), 1, ignore);
    check(same(columns.numbers[0][0], t.final_price) && columns.counts[0][0] == t.waves, "a stress is a cascade");
    double proceeds = 0.0;
    fp::stress_proceeds(book.view(), market.data, one, &proceeds, 1, ignore);

    std::vector<double> told[3];
    for (auto& column : told) column.assign(book.longs.size() + book.shorts.size(), 0.0);
    const fp::PositionOutcome outcome{book.longs.index.data(), book.shorts.index.data(), book.longs.bankruptcy.data(),
                                      book.shorts.bankruptcy.data(), told[0].data(), told[1].data(), told[2].data()};
    fp::cascade_positions(book.view(), market.data, scenario, outcome);
    if (!in.extreme()) {
        double volume = 0.0;
        for (const double money : told[0]) volume += std::abs(money);
        check(near(std::accumulate(told[0].begin(), told[0].end(), 0.0), proceeds, volume), "positions' proceeds add up");
    }
    if (mapped && market.data.support.count == 0 && at_rest(book, market.data.price)) {
        check_maps(book, market.data, scenario, !in.extreme());
    }
    return 0;
}
