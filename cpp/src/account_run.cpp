#include "flushpoint/account_run.hpp"

#include "flushpoint/idle.hpp"

namespace flushpoint {

Thresholds::Thresholds(const Holdings& held, const std::vector<double>& mark, std::vector<double> weights, double trusted,
                       int threads, const Poll& poll)
    : falls(mark.size()), rises(mark.size()), weight(std::move(weights)), trust(trusted) {
    for (std::size_t a = 0; a < held.view().count; ++a) {
        if (a % (1 << 15) == 0) poll();
        reach(held, a, mark.data(), standing(held, a, mark.data()), *this, [&](std::int32_t market, bool at_rise, double price) {
            (at_rise ? rises : falls)[static_cast<std::size_t>(market)].push_back({price, static_cast<std::int32_t>(a), 0});
        });
    }
    parallel_for(2 * mark.size(), threads, poll, [&](std::size_t i) {
        const bool at_rise = i % 2 == 1;
        std::vector<Threshold>& side = (at_rise ? rises : falls)[i / 2];
        std::sort(side.begin(), side.end(), [=](const Threshold& one, const Threshold& other) {
            return at_rise ? one.price < other.price : one.price > other.price;
        });
    });
}

namespace {

Thresholds at_rest(const AccountJob& job, int threads, Pulse& pulse) {
    const std::vector<double> weight(job.markets.count(), 1.0);
    return {Holdings(job.accounts), job.markets.prices(), weight, 1.0, threads, [&] { pulse.ask(); }};
}

// Runs scenario i, and writes it.
template <class Own, class OnWave>
void run_scenario(AccountRun<Own>& run, const AccountScenarios& scenarios, std::size_t i, const AccountColumns& out,
                  Pulse& pulse, OnWave&& on_wave) {
    run.begin(pulse);
    const std::size_t markets = run.markets.size();
    std::vector<double> log_start(markets), first_move(markets);
    for (std::size_t m = 0; m < markets; ++m) {
        auto& one = run.markets[m];
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
        const auto& one = run.markets[m];
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
             std::vector<AccountWave>& waves, const AccountEnds& ends, const Progress& progress) {
    Pulse pulse(progress);
    const Thresholds thresholds = at_rest(job, 1, pulse);
    with_own(job.venue, [&]<class Own>(std::type_identity<Own>) {
        AccountRun<Own> run(job, thresholds);
        run_scenario(run, scenario, 0, out, pulse, [&](const AccountWave& wave) { waves.push_back(wave); });
        for (std::size_t a = 0; a < job.accounts.count; ++a) {
            for (std::size_t p = job.accounts.begin(a); p < job.accounts.end(a); ++p) ends.left[p] = run.held().left(a, p);
            ends.defaulted[a] = job.accounts.has_banks() && run.held().bank(a).defaulted;
        }
        if constexpr (Own::closes_winners) {
            double* left = ends.own_left;
            for (const MarketRun<Own>& one : run.markets) {
                for (const VenueBook::Side* side : {&one.longs, &one.shorts}) {
                    for (std::size_t i = 0; i < side->columns().count; ++i) *left++ = side->share_left(i);
                }
            }
        }
    });
}

void stress(const AccountJob& job, const AccountScenarios& scenarios, const AccountColumns& out, int threads,
            const Progress& progress) {
    Pulse pulse_of_start(progress);
    const Thresholds thresholds = at_rest(job, threads, pulse_of_start);
    with_own(job.venue, [&]<class Own>(std::type_identity<Own>) {
        Idle<AccountRun<Own>> runs;
        for_each_scenario(scenarios.count, threads, progress, [&](std::size_t i, Pulse& pulse) {
            runs.with([&] { return std::make_unique<AccountRun<Own>>(job, thresholds); },
                      [&](AccountRun<Own>& run) { run_scenario(run, scenarios, i, out, pulse, [](const AccountWave&) {}); });
        });
    });
}

void forced(const AccountJob& job, const double* marks, double* quantity) {
    for (std::size_t m = 0; m < job.markets.count(); ++m) {
        const BookView& book = job.markets.books[m].positions.book;
        SortedSide longs{book.longs, false}, shorts{book.shorts, true};
        longs.take(1.0, marks[m]);
        shorts.take(1.0, marks[m]);
        quantity[m] = longs.quantity() - shorts.quantity();
    }
    Holdings held(job.accounts);
    std::vector<double> shares;
    for (std::size_t a = 0; a < job.accounts.count; ++a) {
        if (!standing(held, a, marks).fails()) continue;
        closing_shares(held, a, marks, shares);
        const std::size_t begin = job.accounts.begin(a);
        for (std::size_t p = begin; p < job.accounts.end(a); ++p) {
            quantity[job.accounts.market[p]] += job.accounts.brought_to_market(shares[p - begin] * held.quantity(a, p));
        }
    }
}

void failing(const AccountsView& accounts, const double* prices, bool* out) {
    const Holdings held(accounts);
    for (std::size_t a = 0; a < accounts.count; ++a) out[a] = standing(held, a, prices).fails();
}

}  // namespace flushpoint
