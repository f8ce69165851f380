#include "flushpoint/account_paths.hpp"

#include <algorithm>
#include <deque>

#include "flushpoint/idle.hpp"
#include "flushpoint/recovery.hpp"
#include "flushpoint/visit.hpp"

namespace flushpoint {

namespace {

// What all paths of a job look up.
struct Tables {
    const AccountPathJob& job;
    std::vector<Recovery> recovery;
    std::vector<double> log_price;
    Thresholds thresholds;

    Tables(const AccountPathJob& j, std::uint64_t first, std::size_t count, int threads, const Poll& poll)
        : job(j),
          thresholds(Holdings(j.accounts.accounts), j.accounts.markets.prices(), ways(j, first, count), j.trust, threads,
                     poll) {
        for (const double half_life : j.half_life) recovery.emplace_back(j.step, half_life, j.steps);
        for (const double price : j.accounts.markets.prices()) log_price.push_back(math::log(price));
    }

private:
    // How far each market's price goes in a step, compared with the liveliest: told by the first few paths.
    static std::vector<double> ways(const AccountPathJob& job, std::uint64_t first, std::size_t count) {
        constexpr std::int64_t looked_at = 256;
        constexpr double least = 0.05;  // prices are moved by forced trades, too
        FactorWalk walk(job.model, job.randomness);
        const std::vector<double> zero(job.model.markets, 0.0);
        walk.start(first, static_cast<int>(std::min<std::size_t>(count, walk_lanes)), zero);
        std::vector<double> squares(job.model.markets, 0.0);
        std::vector<double> before(job.model.markets * walk_lanes, 0.0);
        for (std::int64_t done = 0; done < std::min(job.steps, looked_at); done += block_steps) {
            const int steps = static_cast<int>(std::min<std::int64_t>(block_steps, job.steps - done));
            walk.advance(steps);
            for (std::size_t m = 0; m < squares.size(); ++m) {
                for (int i = 0; i < steps * walk_lanes; ++i) {
                    double& last = before[m * walk_lanes + static_cast<std::size_t>(i % walk_lanes)];
                    const double now = walk.market(m).path[i / walk_lanes][i % walk_lanes];
                    squares[m] += (now - last) * (now - last);
                    last = now;
                }
            }
        }
        const double most = *std::max_element(squares.begin(), squares.end());
        for (double& one : squares) one = most > 0.0 ? std::max(least, math::square_root(one / most)) : 1.0;
        return squares;
    }
};

// One path. x = log price, f = exogenous log price, g = displacement, all as in market.hpp.
template <class Own>
class AccountPath {
public:
    explicit AccountPath(const Tables& tables)
        : tables_(&tables), run_(tables.job.accounts, tables.thresholds), markets_(tables.job.model.markets) {}
    AccountPath(const AccountPath&) = delete;

    void begin(Pulse& pulse) {
        run_.begin(pulse);
        for (std::size_t m = 0; m < markets_.size(); ++m) {
            markets_[m] = OneMarket{};
            markets_[m].extremes = {tables_->log_price[m], tables_->log_price[m], 0.0};
        }
        bound();
    }

    // Whether a stretch whose exogenous log prices span [low, high] may hold a trigger or, unless extremes can be told
    // by `glide`, a new extreme.
    bool concerned(std::size_t m, double low, double high) const {
        return low <= markets_[m].lower || high >= markets_[m].upper;
    }
    // A stretch in which nothing fires in any market, with one market's lowest exogenous log price, which stands at step
    // `step`, and its highest.
    template <class Step>
    void glide(std::size_t m, double low, double high, Step&& step) {
        OneMarket& one = markets_[m];
        if (!one.constant) return;
        one.extremes.pass(low, high, one.displacement, step);
    }

    // The exogenous log prices stand at f in step `step`.
    void visit(std::int64_t step, const double* f, Pulse& pulse) {
        arrive(step);
        for (std::size_t m = 0; m < markets_.size(); ++m) {
            MarketRun<Own>& run = run_.markets[m];
            run.start = math::exp(f[m]);
            run.trading.highest = run.trading.lowest = run.trading.displacement;
            markets_[m].waves = run.trading.waves;
        }
        run_.cascade(0.0, pulse, [](const AccountWave&) {});
        for (std::size_t m = 0; m < markets_.size(); ++m) {
            OneMarket& one = markets_[m];
            const Trading& trading = run_.markets[m].trading;
            one.extremes.meet(true, f[m], trading.highest, trading.lowest, static_cast<double>(step));
            one.exhausted |= infinite(trading.highest) || infinite(trading.lowest);
            if (trading.waves == one.waves) continue;
            one.since = step;
            one.rest = trading.state;
        }
        bound();
        pulse.spent(20 * markets_.size());
    }

    void write(const AccountColumns& out, std::size_t row, const std::vector<double>& f) {
        arrive(tables_->job.steps);
        run_.write(out, row);
        for (std::size_t m = 0; m < markets_.size(); ++m) {
            const OneMarket& one = markets_[m];
            const std::size_t at = row * markets_.size() + m;
            out.final_price[at] = math::exp(f[m] - run_.markets[m].trading.displacement);
            out.low_price[at] = math::exp(one.extremes.low);
            out.high_price[at] = math::exp(one.extremes.high);
            out.low_time[at] = one.extremes.low_step * tables_->job.step;
            out.exhausted[at] = one.exhausted;
        }
    }

private:
    struct OneMarket {
        Extremes<double> extremes{0.0, 0.0, 0.0};
        bool exhausted = false;
        std::int64_t waves = 0;  // before the last visit
        State rest{0.0, 0.0};    // after the last trade here, in step `since`
        std::int64_t since = 0;
        double next_fall = math::not_a_number, next_rise = math::not_a_number;  // prices at which something may fire
        double log_fall = 0.0, log_rise = 0.0;
        double lower = 0.0, upper = 0.0;  // exogenous log prices between which nothing can happen
        bool constant = false;            // whether the displacement stays until the next trade
        double displacement = 0.0;
    };

    // Brings the markets' volumes and displacements to a step.
    void arrive(std::int64_t step) {
        for (std::size_t m = 0; m < markets_.size(); ++m) {
            const OneMarket& one = markets_[m];
            run_.markets[m].trading.state = {one.rest.sold,
                                             tables_->recovery[m].recovering(one.rest.recovering, one.since, step)};
        }
        run_.update();
    }

    // Until the next trade each part of a displacement goes from what it is to what it is at rest, and never back.
    void bound() {
        const double* cross = tables_->job.accounts.markets.cross_impact;
        const std::size_t count = markets_.size();
        for (std::size_t m = 0; m < count; ++m) {
            OneMarket& one = markets_[m];
            const MarketRun<Own>& run = run_.markets[m];
            const double own = run.trading.displacement - run.pushed;
            const double rest =
                tables_->recovery[m].lasts() ? own : run.as_market([&](const auto& market) {
                    return market.permanent_displacement(run.trading.state.sold);
                });
            Course<double> course(own, rest);
            for (std::size_t k = 0; k < count && cross; ++k) {
                const double part = cross[m * count + k] * run_.markets[k].trading.state.recovering;
                const double later = tables_->recovery[k].lasts() ? part : 0.0;
                course.most += std::max(part, later);
                course.least += std::min(part, later);
            }
            one.displacement = run.trading.displacement;
            one.constant = course.stays();
            const double fall = std::max(run.longs.next_trigger(), run_.lookout().next_fall(m));
            const double rise = std::min(run.shorts.next_trigger(), run_.lookout().next_rise(m));
            if (fall != one.next_fall) one.log_fall = math::log(one.next_fall = fall);
            if (rise != one.next_rise) one.log_rise = math::log(one.next_rise = rise);
            run.as_market([&](const auto& market) {
                Bounds<double> bounds(market, one.log_fall, one.log_rise, course);
                bounds.keep_within(!one.constant, one.extremes, course);
                one.lower = bounds.lower;
                one.upper = bounds.upper;
            });
        }
    }

    const Tables* tables_;
    AccountRun<Own> run_;
    std::vector<OneMarket> markets_;
};

// Up to `walk_lanes` paths, whose steps are made together, block by block.
template <class Own>
class Eight {
public:
    explicit Eight(const Tables& tables) : tables_(&tables), walk_(tables.job.model, tables.job.randomness) {}

    void run(std::uint64_t first, int count, std::size_t row, const AccountColumns& columns, Pulse& pulse) {
        const std::int64_t all = tables_->job.steps;
        const std::size_t markets = tables_->job.model.markets, drivers = tables_->job.model.drivers.size();
        while (paths_.size() < static_cast<std::size_t>(count)) paths_.emplace_back(*tables_);
        for (int lane = 0; lane < count; ++lane) path(lane).begin(pulse);
        walk_.start(first, count, tables_->log_price);
        for (std::int64_t done = 0; done < all;) {
            const int steps = static_cast<int>(std::min<std::int64_t>(block_steps, all - done));
            walk_.advance(steps);
            pulse.spent(static_cast<std::size_t>(2 * steps) * (drivers + markets));
            for (int lane = 0; lane < count; ++lane) take(lane, steps, done, pulse);
            done += steps;
        }
        std::vector<double> f(markets);
        for (int lane = 0; lane < count; ++lane) {
            for (std::size_t m = 0; m < markets; ++m) f[m] = walk_.market(m).log_price[lane];
            path(lane).write(columns, row + static_cast<std::size_t>(lane), f);
        }
    }

private:
    AccountPath<Own>& path(int lane) { return paths_[static_cast<std::size_t>(lane)]; }

    // Takes one path through a block.
    void take(int lane, int steps, std::int64_t before, Pulse& pulse) {
        AccountPath<Own>& one = path(lane);
        const std::size_t markets = tables_->job.model.markets;
        bool concerned = false;
        for (std::size_t m = 0; m < markets; ++m) {
            const Walk& walk = walk_.market(m);
            concerned |= one.concerned(m, walk.low[lane], walk.high[lane]);
        }
        if (!concerned) {
            for (std::size_t m = 0; m < markets; ++m) {
                const Walk& walk = walk_.market(m);
                one.glide(m, walk.low[lane], walk.high[lane], [&] {
                    int s = 0;
                    while (walk.path[s][lane] != walk.low[lane]) ++s;
                    return before + s + 1;
                });
            }
            return;
        }
        f_.resize(markets);
        for (int s = 0; s < steps; ++s) {
            bool fires = false;
            for (std::size_t m = 0; m < markets; ++m) {
                f_[m] = walk_.market(m).path[s][lane];
                fires |= one.concerned(m, f_[m], f_[m]);
            }
            const std::int64_t step = before + s + 1;
            if (fires) {
                one.visit(step, f_.data(), pulse);
                continue;
            }
            for (std::size_t m = 0; m < markets; ++m) one.glide(m, f_[m], f_[m], [&] { return step; });
        }
    }

    const Tables* tables_;
    FactorWalk walk_;
    std::deque<AccountPath<Own>> paths_;
    std::vector<double> f_;
};

}  // namespace

void simulate(const AccountPathJob& job, std::uint64_t first, std::size_t count, const AccountColumns& columns,
              int threads, const Progress& progress) {
    Pulse pulse(progress);
    const Tables tables(job, first, count, threads, [&] { pulse.ask(); });
    with_own(job.accounts.venue, [&]<class Own>(std::type_identity<Own>) {
        Idle<Eight<Own>> eights;
        parallel_for((count + walk_lanes - 1) / walk_lanes, threads, [&] { pulse.ask(); }, [&](std::size_t task) {
            const std::size_t row = task * walk_lanes, paths = std::min<std::size_t>(walk_lanes, count - row);
            try {
                eights.with([&] { return std::make_unique<Eight<Own>>(tables); },
                            [&](Eight<Own>& eight) { eight.run(first + row, static_cast<int>(paths), row, columns, pulse); });
            } catch (const Pulse::Stopped&) {
                return;  // the thread that stopped the work says why
            }
            pulse.finished(paths);
        });
    });
    progress(count);
}

}  // namespace flushpoint
