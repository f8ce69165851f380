#include "flushpoint/paths.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "flushpoint/cascade.hpp"

namespace flushpoint {

namespace {

// A step is looked at only when it could cross a trigger or set a new extreme, by bounds that hold until the next look;
// this is their slack, far above the rounding of logarithms and the tie of the crossing test.
constexpr double slack = 4e-12;
// Between looks at whether to stop, a path goes so many blocks of steps (fewer where steps have many jumps), or works
// out the money of so many positions.
constexpr double breath_blocks = 512.0;
constexpr std::size_t breath_positions = 1 << 14;
// Uniform random numbers are at least 2^-52, so no bridge strays further than sqrt(-log(2^-52) / 2) deviations.
constexpr double longest_stray = 4.26;

// One path's market and book. x = log price, f = exogenous log price, g = displacement, all as in market.hpp.
template <class Impact>
class Path {
public:
    Path(const PathJob& job, const Market<Impact>& market, std::vector<PathWave>* waves)
        : job_(&job), market_(&market), waves_(waves), longs_{job.book.longs, false}, shorts_{job.book.shorts, true} {}

    void start(double f) {
        longs_.closed = shorts_.closed = 0;
        trading_ = {};
        since_ = low_step_ = 0;
        low_ = high_ = f;
        proceeds_ = 0.0;
        money_ = {};
        next_triggers();
        bound(0.0, 0.0);
    }

    // Whether a stretch whose exogenous log prices span [low, high] may hold a trigger or, unless extremes can be told
    // by `glide`, a new extreme.
    bool concerned(double low, double high) const { return low <= lower_ || high >= upper_; }

    // A stretch in which nothing fires, with its lowest exogenous log price, which stands at step `step`, and its highest.
    template <class Step>
    void glide(double low, double high, Step&& step) {
        if (!constant_) return;
        if (low - displacement_ < low_) {
            low_ = low - displacement_;
            low_step_ = step();
        }
        high_ = std::max(high_, high - displacement_);
    }

    // The exogenous log price stands at f in step `step`, and `sale` is sold by others.
    void visit(std::int64_t step, double f, double sale) {
        State& state = trading_.state;
        const double v = recovering(step);
        const Trading before = trading_;
        state.recovering = v;
        if (sale != 0.0) {
            trading_.outside += sale;
            state = state.after(sale);
        }
        trading_.update(*market_);
        trading_.highest = trading_.lowest = trading_.displacement;
        const bool crosses = f <= long_trigger_ + weighted(trading_.displacement) + slack ||
                             f >= short_trigger_ + weighted(trading_.displacement) - slack;
        const std::int64_t waves = trading_.waves;
        if (crosses) {
            const double exogenous = math::exp(f);
            run_waves(longs_, shorts_, *market_, exogenous, 0.0, trading_,
                      [&](Range sold, Range bought) { settle(step, exogenous, sold, bought); });
        }
        if (f - trading_.highest < low_) {
            low_ = f - trading_.highest;
            low_step_ = step;
        }
        high_ = std::max(high_, f - trading_.lowest);
        exhausted_ |= infinite(trading_.highest) || infinite(trading_.lowest);
        const double displacement = trading_.displacement;
        if (trading_.waves != waves || sale != 0.0) {
            since_ = step;
            next_triggers();
        } else {
            trading_ = before;  // what recovers is counted from the last trade, however often we looked
        }
        bound(displacement, market_->permanent_displacement(state.sold));
    }

    double log_price(std::int64_t step, double f) const {
        return f - market_->displacement({trading_.state.sold, recovering(step)});
    }

    void write(const PathColumns& out, std::size_t i, double f) const {
        const Clock& clock = job_->clock;
        if (out.final_price) out.final_price[i] = math::exp(log_price(clock.steps, f));
        if (out.low_price) out.low_price[i] = math::exp(low_);
        if (out.high_price) out.high_price[i] = math::exp(high_);
        if (out.low_time) out.low_time[i] = static_cast<double>(low_step_) * clock.step;
        if (out.long_count) out.long_count[i] = static_cast<std::int64_t>(longs_.closed);
        if (out.short_count) out.short_count[i] = static_cast<std::int64_t>(shorts_.closed);
        if (out.waves) out.waves[i] = trading_.waves;
        if (out.exhausted) out.exhausted[i] = exhausted_;
        if (out.proceeds) out.proceeds[i] = proceeds_;
        if (out.shortfall) out.shortfall[i] = money_.shortfall;
        if (out.surplus) out.surplus[i] = money_.surplus;
    }

    // What each wave's money is worked out for.
    bool wants_proceeds = false, wants_money = false;
    std::size_t priced = 0;  // positions whose money was worked out since the last look at whether to stop

private:
    double recovering(std::int64_t step) const {
        const double v = trading_.state.recovering;
        const double half_life = job_->clock.half_life;
        if (v == 0.0 || half_life == math::infinity || step == since_) return v;
        constexpr double ln2 = 0.6931471805599453;
        return v * math::exp(-ln2 * (static_cast<double>(step - since_) * job_->clock.step / half_life));
    }
    double weighted(double displacement) const {
        return market_->mark_weight == 0.0 ? 0.0 : market_->mark_weight * displacement;
    }

    // An infinite log price is one that nothing reaches any more.
    static double shifted(double log_price, double by) { return infinite(log_price) ? log_price : log_price + by; }

    void next_triggers() {
        long_trigger_ = longs_.closed < longs_.view.count ? math::log(longs_.view.trigger[longs_.closed]) : -math::infinity;
        short_trigger_ =
            shorts_.closed < shorts_.view.count ? math::log(shorts_.view.trigger[shorts_.closed]) : math::infinity;
    }

    // Until the next trade the displacement goes from `now` to `rest`, and never back; extremes are told by `glide` where
    // it stays and no bridge strays from the steps, or else watched for like triggers.
    void bound(double now, double rest) {
        if (job_->clock.half_life == math::infinity) rest = now;
        constant_ = now == rest && !infinite(now) && !job_->bridge;
        displacement_ = now;
        const double high = std::max(now, rest), low = std::min(now, rest);
        lower_ = shifted(long_trigger_, weighted(high) + slack);
        upper_ = shifted(short_trigger_, weighted(low) - slack);
        if (constant_) return;
        lower_ = std::max(lower_, shifted(low_, high));
        upper_ = std::min(upper_, shifted(high_, low));
    }

    void settle(std::int64_t step, double exogenous, Range sold, Range bought) {
        const SideView &l = longs_.view, &s = shorts_.view;
        if (wants_proceeds) {
            proceeds_ += wave_proceeds(*market_, exogenous, trading_.state, sold.sum(l.quantity_sum), bought.sum(s.quantity_sum));
        }
        if (wants_money) {
            priced += sold.size() + bought.size();
            wave_positions(*market_, exogenous, trading_.state, longs_, sold, shorts_, bought,
                           [&](bool is_short, std::size_t i, double quantity, double proceeds) {
                               const double* bankruptcy = is_short ? job_->short_bankruptcy : job_->long_bankruptcy;
                               money_.add(Money::of(quantity, bankruptcy[i], proceeds));
                           });
        }
        if (waves_) {
            waves_->push_back({step, exogenous * math::exp(-trading_.displacement),
                               sold.sum(l.quantity_sum) + bought.sum(s.quantity_sum),
                               static_cast<std::int64_t>(sold.size() + bought.size()),
                               sold.sum(l.notional_sum) + bought.sum(s.notional_sum)});
        }
    }

    const PathJob* job_;
    const Market<Impact>* market_;
    std::vector<PathWave>* waves_;
    SortedSide longs_, shorts_;
    Trading trading_;
    std::int64_t since_ = 0;      // the step of the last trade
    double low_ = 0.0, high_ = 0.0;  // log price
    std::int64_t low_step_ = 0;
    bool exhausted_ = false;
    double proceeds_ = 0.0;
    Money money_;
    double long_trigger_, short_trigger_;  // logs of the next ones
    double lower_, upper_;                 // exogenous log prices between which nothing can happen
    bool constant_;                        // whether the displacement stays until the next trade
    double displacement_;                  // since the last trade, where it stays
};

// The extreme of a Brownian bridge from `from` to `to` in one step: the low for longs, the high for shorts.
double bridge_extreme(const PathJob& job, std::uint64_t path, std::int64_t step, double from, double to, bool low) {
    const std::uint64_t numbers = job.randomness.antithetic ? path / 2 : path;
    const random::Words words = random::philox({{static_cast<std::uint32_t>(numbers), static_cast<std::uint32_t>(numbers >> 32),
                                                 static_cast<std::uint32_t>(random::Stream::extremes),
                                                 static_cast<std::uint32_t>(step)}},
                                               job.randomness.seed);
    const double u = 2.0 - random::from_one_to_two<double>(words.w[0] | (std::uint64_t{words.w[1]} << 32));
    const double deviation = job.process.parameters[1];
    const double half = 0.5 * (to - from);
    const double reach = math::square_root(half * half - 0.5 * deviation * deviation * math::log(u));
    return low ? 0.5 * (from + to) - reach : 0.5 * (from + to) + reach;
}

// Up to `walk_lanes` paths, side by side.
template <class Impact>
void run_lanes(const PathJob& job, const Market<Impact>& market, std::uint64_t first, int count, std::size_t row,
               const PathColumns& columns, const Recording& recording, std::vector<PathWave>* waves,
               const std::function<bool()>& go_on) {
    Process process(job.process, job.randomness);
    Walk walk;
    std::vector<Path<Impact>> paths(static_cast<std::size_t>(count), Path<Impact>(job, market, waves));
    const double start = math::log(job.market.price);
    for (Path<Impact>& path : paths) {
        path.start(start);
        path.wants_proceeds = columns.proceeds != nullptr;
        path.wants_money = columns.shortfall != nullptr || columns.surplus != nullptr;
    }
    process.start(first, count, start, walk);

    const bool watches_low = job.bridge && job.book.longs.count > 0;
    const double stray = job.bridge ? longest_stray * job.process.parameters[1] : 0.0;
    double* const prices = recording.prices + row * recording.count;
    std::size_t recorded = 0;
    if (recording.count > 0 && recording.at[0] == 0) {
        for (int lane = 0; lane < count; ++lane) prices[static_cast<std::size_t>(lane) * recording.count] = job.market.price;
        recorded = 1;
    }
    const double jumps = job.process.kind == ProcessKind::jumps ? job.process.parameters[2] : 0.0;
    const std::int64_t breath = block_steps * std::max<std::int64_t>(static_cast<std::int64_t>(breath_blocks / (1.0 + jumps)), 1);
    double from[walk_lanes];
    for (std::int64_t done = 0; done < job.clock.steps; done += block_steps) {
        const int steps = static_cast<int>(std::min<std::int64_t>(block_steps, job.clock.steps - done));
        if (done % breath == 0 && !go_on()) return;
        for (int lane = 0; lane < walk_lanes; ++lane) from[lane] = walk.log_price[lane];
        const double* moves = job.script.moves ? job.script.moves + done : nullptr;
        const double* sales = job.script.sales ? job.script.sales + done : nullptr;
        process.advance(walk, steps, moves);
        const auto any = [&](const double* events) {
            return events && std::any_of(events, events + steps, [](double e) { return e != 0.0; });
        };
        const bool sells = any(sales), bridges_moves = job.bridge && any(moves);
        std::size_t record_end = recorded;
        while (record_end < recording.count && recording.at[record_end] <= done + steps) ++record_end;

        for (int lane = 0; lane < count; ++lane) {
            Path<Impact>& path = paths[static_cast<std::size_t>(lane)];
            const std::uint64_t index = first + static_cast<std::uint64_t>(lane);
            std::size_t next = recorded;
            const auto record = [&](std::int64_t until) {
                for (; next < record_end && recording.at[next] <= until; ++next) {
                    const std::int64_t step = recording.at[next];
                    prices[static_cast<std::size_t>(lane) * recording.count + next] =
                        math::exp(path.log_price(step, walk.path[step - done - 1][lane]));
                }
            };
            const double lowest = std::min(walk.low[lane], from[lane]), highest = std::max(walk.high[lane], from[lane]);
            if (sells || bridges_moves || path.concerned(lowest - stray, highest + stray)) {
                double before = from[lane];
                for (int s = 0; s < steps; ++s) {
                    const double f = walk.path[s][lane], sale = sells ? sales[s] : 0.0;
                    const std::int64_t step = done + s + 1;
                    const double arrival = bridges_moves ? f - moves[s] : f;  // the bridge's end: moves come after it
                    if (job.bridge && path.concerned(std::min(before, arrival) - stray, std::max(before, arrival) + stray)) {
                        const double extreme = bridge_extreme(job, index, step, before, arrival, watches_low);
                        if (path.concerned(extreme, extreme)) {
                            path.visit(step, extreme, 0.0);
                        } else {
                            path.glide(extreme, extreme, [&] { return step; });
                        }
                    }
                    if (sale != 0.0 || path.concerned(f, f)) {
                        path.visit(step, f, sale);
                    } else {
                        path.glide(f, f, [&] { return step; });
                    }
                    record(step);
                    before = f;
                    if (path.priced >= breath_positions) {
                        path.priced = 0;
                        if (!go_on()) return;
                    }
                }
            } else {
                path.glide(walk.low[lane], walk.high[lane], [&] {
                    int s = 0;
                    while (walk.path[s][lane] != walk.low[lane]) ++s;
                    return done + s + 1;
                });
            }
            record(done + steps);
        }
        recorded = record_end;
    }
    for (int lane = 0; lane < count; ++lane) {
        paths[static_cast<std::size_t>(lane)].write(columns, row + static_cast<std::size_t>(lane), walk.log_price[lane]);
    }
}

}  // namespace

void simulate(const PathJob& job, std::uint64_t first, std::size_t count, const PathColumns& columns,
              const Recording& recording, int threads, const Poll& poll, std::atomic<std::size_t>& done) {
    // A path may take long, so threads look up in the middle of it, too: the caller's polls, the others only stop.
    std::atomic<bool> stopped{false};
    const auto caller = std::this_thread::get_id();
    const Poll asking = [&] {
        try {
            if (poll) poll();
        } catch (...) {
            stopped.store(true, std::memory_order_relaxed);
            throw;
        }
    };
    auto asked = std::chrono::steady_clock::now();
    const auto go_on = [&] {
        if (std::this_thread::get_id() == caller && std::chrono::steady_clock::now() - asked > poll_interval) {
            asking();
            asked = std::chrono::steady_clock::now();
        }
        return !stopped.load(std::memory_order_relaxed);
    };
    with_market(job.market, 1.0, [&](const auto& market) {
        parallel_for((count + walk_lanes - 1) / walk_lanes, threads, {}, [&](std::size_t task) {
            const std::size_t row = task * walk_lanes, paths = std::min<std::size_t>(walk_lanes, count - row);
            run_lanes(job, market, first + row, static_cast<int>(paths), row, columns, recording, nullptr, go_on);
            done.fetch_add(paths, std::memory_order_relaxed);
        });
    });
}

std::vector<PathWave> replay(const PathJob& job, std::uint64_t path, const PathColumns& columns,
                             const Recording& recording) {
    std::vector<PathWave> waves;
    with_market(job.market, 1.0, [&](const auto& market) {
        run_lanes(job, market, path, 1, 0, columns, recording, &waves, [] { return true; });
    });
    return waves;
}

}  // namespace flushpoint
