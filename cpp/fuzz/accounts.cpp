// Accounts over several markets: cascades, stress and paths under every rule of closing.
#include "accounts.hpp"

#include "input.hpp"

namespace {

using namespace fuzz;

constexpr std::size_t markets = tests::World::markets;

struct Columns {
    std::vector<double> numbers[9];
    std::vector<std::int64_t> counts[6];
    std::unique_ptr<bool[]> exhausted;
    fp::AccountColumns view{};

    explicit Columns(std::size_t rows) : exhausted(std::make_unique<bool[]>(rows * markets)) {
        std::size_t used = 0;
        for (double** at : {&view.final_price, &view.low_price, &view.high_price, &view.low_time, &view.amplification,
                            &view.long_quantity, &view.short_quantity, &view.long_notional, &view.short_notional}) {
            numbers[used].resize(rows * markets);
            *at = numbers[used++].data();
        }
        used = 0;
        for (std::int64_t** at : {&view.waves, &view.shared_longs, &view.shared_shorts, &view.own_longs, &view.own_shorts,
                                  &view.rounds}) {
            counts[used].resize(rows * markets);
            *at = counts[used++].data();
        }
        view.exhausted = exhausted.get();
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input in(data, size);
    const auto close = static_cast<fp::AccountClose>(in.below(5));
    tests::World world(in.below(256), 1 + in.below(40), close);
    for (double& q : world.quantity) {
        if (in.below(8) == 0) q = q < 0.0 ? -in.positive(q) : in.positive(q);
    }
    for (double& money : world.money) {
        if (in.below(8) == 0) money = close == fp::AccountClose::repay ? -in.positive(1000.0) : in.signed_number(1000.0);
    }
    if (close == fp::AccountClose::repay) std::fill(world.cost.begin(), world.cost.end(), 0.0);
    for (double& c : world.impact) c = in.not_negative(2e-4);
    for (double& c : world.cross) c = in.flag() ? in.between(0.0, 5e-5) : 0.0;

    constexpr std::size_t count = 3;
    std::vector<double> shock, sell, liquidity;
    double refill = 0.0;
    for (std::size_t i = 0; i < count * markets; ++i) {
        const fp::Scenario one = scenario(in);
        shock.push_back(one.shock);
        sell.push_back(one.sell);
        liquidity.push_back(one.liquidity);
        refill = one.refill;
    }
    const auto ignore = [](std::size_t) {};
    Columns rows(count), one(1);
    const fp::AccountScenarios all{shock.data(), sell.data(), liquidity.data(), refill, count, 50};
    fp::stress(world.job, all, rows.view, 1, ignore);
    const fp::AccountScenarios first{shock.data(), sell.data(), liquidity.data(), refill, 1, 50};
    std::vector<fp::AccountWave> waves;
    std::vector<double> left(world.job.accounts.positions());
    const auto defaulted = std::make_unique<bool[]>(world.job.accounts.count);
    const fp::AccountEnds ends{left.data(), defaulted.get(), nullptr};  // nobody is closed as a winner here
    fp::cascade(world.job, first, one.view, waves, ends, ignore);
    for (std::size_t m = 0; m < markets; ++m) {
        check(same(one.view.final_price[m], rows.view.final_price[m]), "a stress is a cascade");
        check(!(one.view.low_price[m] > one.view.high_price[m]), "prices are in order");
    }
    for (const double share : left) check(share >= 0.0 && share <= 1.0, "what is left is a share");

    const double prices[markets] = {100.0, 20.0, 5.0};
    const auto fails = std::make_unique<bool[]>(world.job.accounts.count);
    fp::failing(world.job.accounts, prices, fails.get());
    if (std::any_of(fails.get(), fails.get() + world.job.accounts.count, [](bool one) { return one; })) return 0;
    const fp::AccountPathJob job = world.paths(300.0);
    Columns paths(3), shard(1);
    fp::simulate(job, 0, 3, paths.view, 1, ignore);
    fp::simulate(job, 2, 1, shard.view, 1, ignore);
    for (std::size_t m = 0; m < markets; ++m) {
        check(same(shard.view.final_price[m], paths.view.final_price[2 * markets + m]), "a shard has the whole's numbers");
    }
    return 0;
}
