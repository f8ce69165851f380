// Books drawn anew in every scenario.
#include "random.hpp"

#include "input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fuzz;
    Input in(data, size);
    Market market(in);
    constexpr std::size_t count = 9;  // more than a block of work
    std::vector<double> shock, sell, liquidity;
    double refill = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
        const fp::Scenario one = scenario(in);
        shock.push_back(one.shock);
        sell.push_back(one.sell);
        liquidity.push_back(one.liquidity);
        refill = one.refill;
    }
    const RandomBook book(in);
    const fp::Scenarios scenarios{{shock.data(), 1}, {sell.data(), 1}, {liquidity.data(), 1}, refill, count};
    const auto ignore = [](std::size_t) {};

    StressResult columns[2]{StressResult(count), StressResult(count)};
    std::vector<double> quantity[2][2];
    bool runaway[count];
    for (std::size_t threads : {1u, 2u}) {
        for (auto& column : quantity[threads - 1]) column.resize(count);
        fp::stress(book.data, market.data, scenarios,
                   {columns[threads - 1].view(), quantity[threads - 1][0].data(), quantity[threads - 1][1].data(), runaway},
                   static_cast<int>(threads), ignore);
    }
    for (std::size_t i = 0; i < count; ++i) {
        check(same(columns[0].numbers[0][i], columns[1].numbers[0][i]), "threads change no bit");
        const double closed = static_cast<double>(columns[0].counts[1][i] + columns[0].counts[2][i]);
        check(closed <= book.data.most_closed, "no more close than may");
        check((closed == 0.0) == (quantity[0][0][i] + quantity[0][1][i] == 0.0) || in.extreme(), "what closes has a size");
        check(!(columns[0].numbers[1][i] > columns[0].numbers[2][i]), "prices are in order");
    }
    std::vector<double> proceeds(count), notional[2];
    for (auto& column : notional) column.resize(count);
    fp::stress_sums(book.data, market.data, scenarios, {proceeds.data(), notional[0].data(), notional[1].data()}, 1, ignore);
    return 0;
}
