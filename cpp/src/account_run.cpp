#include "flushpoint/account_run.hpp"

#include "flushpoint/idle.hpp"

namespace flushpoint {

Thresholds::Thresholds(const Holdings& held, std::size_t markets, const double* mark, std::vector<double> weights,
                       double trusted)
    : falls(markets), rises(markets), weight(std::move(weights)), trust(trusted) {
    for (std::size_t a = 0; a < held.view().count; ++a) {
        reach(held, a, mark, *this, [&](std::int32_t market, bool at_rise, double price) {
            (at_rise ? rises : falls)[static_cast<std::size_t>(market)].push_back({price, static_cast<std::int32_t>(a), 0});
        });
    }
    for (std::size_t m = 0; m < markets; ++m) {
        std::sort(falls[m].begin(), falls[m].end(), [](auto& a, auto& b) { return a.price > b.price; });
        std::sort(rises[m].begin(), rises[m].end(), [](auto& a, auto& b) { return a.price < b.price; });
    }
}

namespace {

Thresholds at_rest(const AccountJob& job) {
    const std::size_t markets = job.markets.count();
    return {Holdings(job.accounts), markets, job.markets.prices().data(), std::vector<double>(markets, 1.0)};
}

// Runs scenario i, and writes it.
template <class OnWave>
void run_scenario(AccountRun& run, const AccountScenarios& scenarios, std::size_t i, const AccountColumns& out,
                  Pulse& pulse, OnWave&& on_wave) {
    const std::size_t markets = run.markets.size();
    std::vector<double> log_start(markets), first_move(markets);
    for (std::size_t m = 0; m < markets; ++m) {
        MarketRun& one = run.markets[m];
        const std::size_t at = i * markets + m;
        const double price = one.book->market.price, sell = scenarios.sell[at];
        one.liquidity = scenarios.liquidity[at];
        one.start = price * (1.0 + scenarios.shock[at]);
        one.trading = Trading{sell, State{0.0, 0.0}.after(sell)};
        log_start[m] = math::log(one.start / price);
    }
    run.update();
    for (std::size_t m = 0; m < markets; ++m) {
        Trading& trading = run.markets[m].trading;
        trading.highest = trading.lowest = trading.displacement;
        first_move[m] = log_start[m] - trading.displacement;
    }
    run.cascade(scenarios.refill, pulse, on_wave, scenarios.rounds);
    for (std::size_t m = 0; m < markets; ++m) {
        const MarketRun& one = run.markets[m];
        const std::size_t at = i * markets + m;
        const CascadeTotals totals = totals_of(one.trading, one.start, log_start[m], first_move[m]);
        out.final_price[at] = totals.final_price;
        out.low_price[at] = totals.low_price;
        out.high_price[at] = totals.high_price;
        out.amplification[at] = totals.amplification;
        out.exhausted[at] = totals.exhausted;
    }
    run.write(out, i);
}

}  // namespace

void cascade(const AccountJob& job, const AccountScenarios& scenario, const AccountColumns& out,
             std::vector<AccountWave>& waves, double* left, bool* defaulted, const Progress& progress) {
    Pulse pulse(progress);
    const Thresholds thresholds = at_rest(job);
    AccountRun run(job, thresholds);
    run_scenario(run, scenario, 0, out, pulse, [&](const AccountWave& wave) { waves.push_back(wave); });
    for (std::size_t a = 0; a < job.accounts.count; ++a) {
        for (std::size_t p = job.accounts.begin(a); p < job.accounts.end(a); ++p) left[p] = run.held().left(a, p);
        defaulted[a] = job.accounts.has_banks() && run.held().bank(a).defaulted;
    }
}

void stress(const AccountJob& job, const AccountScenarios& scenarios, const AccountColumns& out, int threads,
            const Progress& progress) {
    const Thresholds thresholds = at_rest(job);
    Idle<AccountRun> runs;
    for_each_scenario(scenarios.count, threads, progress, [&](std::size_t i, Pulse& pulse) {
        runs.with([&] { return std::make_unique<AccountRun>(job, thresholds); },
                  [&](AccountRun& run) {
                      run.begin();
                      run_scenario(run, scenarios, i, out, pulse, [](const AccountWave&) {});
                  });
    });
}

std::size_t slack(const AccountsView& accounts, const double* prices, double* out) {
    const Holdings held(accounts);
    std::size_t failing = 0;
    for (std::size_t a = 0; a < accounts.count; ++a) {
        const Standing now = standing(held, a, prices);
        out[a] = now.slack;
        failing += now.fails();
    }
    return failing;
}

}  // namespace flushpoint
