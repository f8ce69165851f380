// A cascade in a book of longs, then a stress of many shocks in books drawn at random. The engine works on columns of the
// caller's and checks nothing: what it expects of them stands with each structure in its headers.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include "flushpoint/book.hpp"
#include "flushpoint/cascade.hpp"
#include "flushpoint/random_book.hpp"

namespace fp = flushpoint;

namespace {

constexpr double price = 100.0;

// Positions of one side, in firing order, with their running sums.
struct Side {
    std::vector<double> trigger, quantity, quantity_sum, notional_sum;
    std::vector<std::int32_t> index;

    explicit Side(std::size_t count)
        : trigger(count), quantity(count), quantity_sum(count + 1), notional_sum(count + 1), index(count) {}

    fp::SideColumns columns() { return {trigger.data(), quantity.data(), nullptr, index.data()}; }
    fp::SideView view() {
        const std::size_t live = fp::count_live(trigger.data(), trigger.size());
        fp::accumulate(quantity.data(), trigger.data(), trigger.size(), live, quantity_sum.data(), notional_sum.data());
        return {trigger.data(), quantity.data(), quantity_sum.data(), notional_sum.data(), live};
    }
};

void one_cascade(const fp::MarketData& market) {
    constexpr std::size_t count = 200;
    const std::vector<std::int8_t> side(count, 1);
    const std::vector<double> quantity(count, 2.0);
    std::vector<double> trigger(count);
    for (std::size_t i = 0; i < count; ++i) trigger[i] = price * (1.0 - 0.001 * static_cast<double>(i + 1));

    Side longs(count), shorts(0);
    fp::sort_positions({side.data(), quantity.data(), trigger.data(), nullptr, count}, longs.columns(), shorts.columns(), 1, {});
    std::vector<fp::Wave> waves;
    const fp::CascadeTotals totals = fp::cascade({longs.view(), shorts.view()}, market, {-0.02, 0.0, 0.0}, waves);
    std::printf("a fall of 2 %% ends at %.2f: %zu of %zu positions are liquidated in %zu waves\n", totals.final_price,
                totals.longs_closed, count, waves.size());
}

void stress_of_random_books(const fp::MarketData& market) {
    constexpr std::size_t count = 1'000;
    const double distance[] = {0.1}, size[] = {0.5, 1.2};
    const fp::RandomBook book{{{false, 2'000.0, 0.0, 0.0, fp::Law({fp::LawKind::exponential, distance, 1}),
                                fp::Law({fp::LawKind::log_normal, size, 2})}},
                              42,
                              1e6};
    std::vector<double> shock(count);
    for (std::size_t i = 0; i < count; ++i) shock[i] = -0.1 * static_cast<double>(i + 1) / count;
    const double no_sale = 0.0, whole = 1.0;

    std::vector<double> final_price(count), low(count), high(count), amplification(count);
    std::vector<double> long_quantity(count), short_quantity(count);
    std::vector<std::int64_t> waves(count), long_count(count), short_count(count);
    const auto exhausted = std::make_unique<bool[]>(count), runaway = std::make_unique<bool[]>(count);
    fp::stress(book, market, {{shock.data(), 1}, {&no_sale, 0}, {&whole, 0}, 0.0, count},
               {{final_price.data(), low.data(), high.data(), amplification.data(), exhausted.get(), waves.data(),
                 long_count.data(), short_count.data()},
                long_quantity.data(), short_quantity.data(), runaway.get()},
               fp::resolve_threads(0), [](std::size_t) {});
    std::printf("of %zu shocks down to -10 %% the worst ends at %.2f\n", count,
                *std::min_element(final_price.begin(), final_price.end()));
}

}  // namespace

int main() {
    const double coefficient = 4e-4;  // log displacement a unit
    const fp::MarketData market{price, 0.0, 0.0, 1.0, {fp::ImpactKind::linear, &coefficient, 1}};
    one_cascade(market);
    stress_of_random_books(market);
}
