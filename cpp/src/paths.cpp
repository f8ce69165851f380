#include "flushpoint/paths.hpp"

#include <algorithm>
#include <deque>
#include <type_traits>

#include "flushpoint/cascade.hpp"
#include "flushpoint/random_side.hpp"
#include "flushpoint/settlement.hpp"
#include "flushpoint/waterfall.hpp"

namespace flushpoint {

namespace {

using random::Stream;

// A step is looked at only when it could cross a trigger or set a new extreme, by bounds that hold until the next look;
// this is their slack, far above the rounding of logarithms and the tie of the crossing test.
constexpr double slack = 4e-12;
// Uniform random numbers are at least 2^-52, so no bridge strays further than sqrt(-log(2^-52) / 2) deviations.
constexpr double longest_stray = 4.26;

// Of runs without one; only what positions lack or leave is asked for then.
const VenueData no_venue{};

// The positions of a path: a book as it is, one whose positions open and close of themselves, or a random one.
struct SortedPositions {
    static constexpr bool lives = false;
    SortedSide longs, shorts;

    SortedPositions(const PathJob& job, std::uint64_t, Pulse&, bool)
        : longs{job.positions.book.longs, false}, shorts{job.positions.book.shorts, true} {}
};

// A book that a venue closes in its own way.
struct VenuePositions {
    static constexpr bool lives = false;
    VenueBook book;
    VenueBook::Side &longs, &shorts;

    VenuePositions(const PathJob& job, std::uint64_t, Pulse& pulse, bool)
        : book(*job.venue, job.positions.book, job.positions.longs, job.positions.shorts, pulse),
          longs(book.longs),
          shorts(book.shorts) {}
};

// Closed by force, however.
template <class Side>
double closed_quantity(const Side& side) {
    return side.quantity();
}
double closed_quantity(const VenueBook::Side& side) { return side.closed_quantity(); }

class LivingPositions {
public:
    static constexpr bool lives = true;
    LivingSide longs, shorts;

    LivingPositions(const PathJob& job, std::uint64_t numbers, Pulse& pulse, bool)
        : longs{job.positions.book.longs, false, job.turnover->closing_rate},
          shorts{job.positions.book.shorts, true, job.turnover->closing_rate},
          rule_(*job.turnover),
          pulse_(pulse),
          closing_(random::generator(job.randomness.seed, numbers, Stream::closings)),
          opening_(random::generator(job.randomness.seed, numbers, Stream::openings)),
          lanes_(random::lane_generators(job.randomness.seed, numbers, Stream::openings)) {
        longs.generator = shorts.generator = &closing_;
        wait(0.0);
    }
    LivingPositions(const LivingPositions&) = delete;  // the sides point to the generator

    void set_time(double seconds) { longs.now = shorts.now = seconds; }
    double next_opening() const { return next_; }

    // Opens what is due by `now`, at this price; nobody trades at a price of 0 or inf.
    void open(double now, double price) {
        const bool trades = price > 0.0 && price < math::infinity;
        set_time(now);
        for (; next_ <= now; wait(next_)) {
            pulse_.spent(10);
            double quantity;
            rule_.quantity.draw(opening_, lanes_, &quantity, 1);
            for (int side = 0; side < 2; ++side) {
                if (!rule_.sides[side]) continue;
                const auto leverage = std::lower_bound(rule_.share.begin(), rule_.share.end() - 1, random::uniform(opening_));
                const double trigger = price * rule_.ratio[side][static_cast<std::size_t>(leverage - rule_.share.begin())];
                const double life =
                    rule_.closing_rate > 0.0 ? random::exponential(opening_) / rule_.closing_rate : math::infinity;
                if (trades) (side == 0 ? longs : shorts).open(trigger, quantity, next_ + life);
            }
        }
    }

private:
    void wait(double from) {
        next_ = rule_.opening_rate > 0.0 ? from + random::exponential(opening_) / rule_.opening_rate : math::infinity;
    }

    const Turnover& rule_;
    Pulse& pulse_;
    random::Generator<std::uint64_t> closing_, opening_;
    random::Generator<random::Word4> lanes_;
    double next_;  // seconds
};

class DrawnPositions {
public:
    static constexpr bool lives = false;

private:
    Draws draws_;
    random::Generator<std::uint64_t> details_;

public:
    RandomSide longs, shorts;

    DrawnPositions(const PathJob& job, std::uint64_t numbers, Pulse& pulse, bool notionals)
        : draws_(*job.random, numbers, pulse),
          details_(random::generator(job.random->seed, numbers, Stream::details)),
          longs(*job.random, false, job.market.price, draws_),
          shorts(*job.random, true, job.market.price, draws_) {
        if (notionals) draws_.details = &details_;
    }
    DrawnPositions(const DrawnPositions&) = delete;  // the sides point to the draws

    bool runaway() const { return draws_.runaway; }
};

// One path's market and book. x = log price, f = exogenous log price, g = displacement, all as in market.hpp.
template <class Impact, class Positions>
class Path {
public:
    Path(const PathJob& job, const Market<Impact>& market, std::uint64_t numbers, double f, const PathColumns& columns,
         std::vector<PathWave>* waves, Pulse& pulse)
        : job_(&job),
          market_(&market),
          waves_(waves),
          pulse_(&pulse),
          wants_proceeds_(columns.ledger.proceeds != nullptr),
          wants_money_(columns.ledger.needs_bankruptcy()),
          positions_(job, numbers, pulse, columns.long_notional || columns.short_notional || waves),
          ledger_(job.venue ? *job.venue : no_venue),
          low_(f),
          high_(f) {
        next_triggers();
        bound(0.0, 0.0);
    }

    // Whether a stretch whose exogenous log prices span [low, high] may hold a trigger or, unless extremes can be told
    // by `glide`, a new extreme.
    bool concerned(double low, double high) const { return low <= lower_ || high >= upper_ || waiting(); }

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
                             f >= short_trigger_ + weighted(trading_.displacement) - slack || waiting();
        const std::int64_t waves = trading_.waves;
        if (crosses) {
            const double exogenous = math::exp(f);
            if constexpr (Positions::lives) positions_.set_time(time(step));
            if constexpr (std::is_same_v<Positions, VenuePositions>) {
                positions_.book.begin_step(time(step), job_->clock.step, trading_);
            }
            run_waves(positions_.longs, positions_.shorts, *market_, exogenous, 0.0, trading_,
                      [&](auto& sold, auto& bought) { settle(step, exogenous, sold, bought); });
            next_triggers();
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
        } else {
            trading_ = before;  // what recovers is counted from the last trade, however often we looked
        }
        bound(displacement, market_->permanent_displacement(state.sold));
    }

    double displacement(std::int64_t step) const {
        return market_->displacement({trading_.state.sold, recovering(step)});
    }
    double log_price(std::int64_t step, double f) const { return f - displacement(step); }

    // Whether positions open by the end of this step, and the opening of those.
    bool opens(std::int64_t step) const {
        if constexpr (Positions::lives) return positions_.next_opening() <= time(step);
        return false;
    }
    void open(std::int64_t step, double f) {
        if constexpr (Positions::lives) {
            const double g = displacement(step);
            positions_.open(time(step), math::exp(f - g));
            next_triggers();
            bound(g, market_->permanent_displacement(trading_.state.sold));
        }
    }

    void write(const PathColumns& out, std::size_t i, double f) const {
        const Clock& clock = job_->clock;
        if (out.final_price) out.final_price[i] = math::exp(log_price(clock.steps, f));
        if (out.low_price) out.low_price[i] = math::exp(low_);
        if (out.high_price) out.high_price[i] = math::exp(high_);
        if (out.low_time) out.low_time[i] = time(low_step_);
        if (out.long_count) out.long_count[i] = positions_.longs.count();
        if (out.short_count) out.short_count[i] = positions_.shorts.count();
        if (out.long_quantity) out.long_quantity[i] = closed_quantity(positions_.longs);
        if (out.short_quantity) out.short_quantity[i] = closed_quantity(positions_.shorts);
        if (out.long_notional) out.long_notional[i] = positions_.longs.notional();
        if (out.short_notional) out.short_notional[i] = positions_.shorts.notional();
        if (out.waves) out.waves[i] = trading_.waves;
        if (out.exhausted) out.exhausted[i] = exhausted_;
        if constexpr (std::is_same_v<Positions, DrawnPositions>) {
            if (out.runaway) out.runaway[i] = positions_.runaway();
        }
        if constexpr (std::is_same_v<Positions, VenuePositions>) {
            out.ledger.write(i, positions_.book.ledger);
        } else {
            out.ledger.write(i, ledger_);
        }
    }

private:
    double time(std::int64_t step) const { return static_cast<double>(step) * job_->clock.step; }
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
        long_trigger_ = math::log(positions_.longs.next_trigger());
        short_trigger_ = math::log(positions_.shorts.next_trigger());
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

    // Whether some that were triggered wait to be closed.
    bool waiting() const {
        if constexpr (std::is_same_v<Positions, VenuePositions>) return positions_.book.waiting();
        return false;
    }

    template <class Wave>
    void settle(std::int64_t step, double exogenous, Wave& sold, Wave& bought) {
        const auto &longs = positions_.longs, &shorts = positions_.shorts;
        pulse_->spent(10);
        double quantity;
        if constexpr (std::is_same_v<Positions, VenuePositions>) {
            pulse_->spent(5 * static_cast<std::size_t>(sold.size() + bought.size()));
            Settlement<Impact>(*market_, exogenous, trading_, positions_.book).settle(sold, bought);
            quantity = longs.wave_quantity() + shorts.wave_quantity();
        } else {
            quantity = longs.quantity(sold) + shorts.quantity(bought);
            if constexpr (std::is_same_v<Positions, SortedPositions>) {
                if (wants_money_) {
                    pulse_->spent(100);
                    const VenueBookView& view = job_->positions;
                    settle_wave(*market_, exogenous, trading_.state, view.book, view.longs.bankruptcy, sold,
                                view.shorts.bankruptcy, bought, ledger_);
                }
            }
            if (wants_proceeds_ && !wants_money_) {
                ledger_.proceeds +=
                    wave_proceeds(*market_, exogenous, trading_.state, longs.quantity(sold), shorts.quantity(bought));
            }
        }
        if (waves_) {
            const double notional = longs.notional() + shorts.notional();
            waves_->push_back({step, exogenous * math::exp(-trading_.displacement), quantity,
                               static_cast<std::int64_t>(sold.size() + bought.size()), notional - notional_});
            notional_ = notional;
        }
    }

    const PathJob* job_;
    const Market<Impact>* market_;
    std::vector<PathWave>* waves_;
    Pulse* pulse_;
    bool wants_proceeds_, wants_money_;  // of each wave
    Positions positions_;
    Ledger ledger_;  // where the positions keep none themselves
    Trading trading_;
    std::int64_t since_ = 0;  // the step of the last trade
    double low_, high_;       // log price
    std::int64_t low_step_ = 0;
    bool exhausted_ = false;
    double notional_ = 0.0;  // closed so far
    double long_trigger_, short_trigger_;  // logs of the next ones
    double lower_, upper_;                 // exogenous log prices between which nothing can happen
    bool constant_;                        // whether the displacement stays until the next trade
    double displacement_;                  // since the last trade, where it stays
};

// The extreme of a Brownian bridge from `from` to `to` in one step: the low for longs, the high for shorts.
double bridge_extreme(const PathJob& job, std::uint64_t path, std::int64_t step, double from, double to, bool low) {
    const std::uint64_t numbers = job.randomness.numbers(path);
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
template <class Positions, class Impact>
void run_lanes(const PathJob& job, const Market<Impact>& market, std::uint64_t first, int count, std::size_t row,
               const PathColumns& columns, const Recording& recording, std::vector<PathWave>* waves, Pulse& pulse) {
    Process process(job.process, job.randomness);
    Walk walk;
    const double start = math::log(job.market.price);
    std::deque<Path<Impact, Positions>> paths;
    for (int lane = 0; lane < count; ++lane) {
        const std::uint64_t path = first + static_cast<std::uint64_t>(lane);
        paths.emplace_back(job, market, job.randomness.numbers(path), start, columns, waves, pulse);
    }
    process.start(first, count, start, walk);

    const bool watches_low = job.bridge && (job.random ? !job.random->positions.front().shorts : job.positions.book.longs.count > 0);
    const double stray = job.bridge ? longest_stray * job.process.parameters[1] : 0.0;
    double* const prices = recording.prices + row * recording.count;
    std::size_t recorded = 0;
    if (recording.count > 0 && recording.at[0] == 0) {
        for (int lane = 0; lane < count; ++lane) prices[static_cast<std::size_t>(lane) * recording.count] = job.market.price;
        recorded = 1;
    }
    const double jumps = job.process.kind == ProcessKind::jumps ? job.process.parameters[2] : 0.0;
    double from[walk_lanes];
    for (std::int64_t done = 0; done < job.clock.steps; done += block_steps) {
        const int steps = static_cast<int>(std::min<std::int64_t>(block_steps, job.clock.steps - done));
        pulse.spent(static_cast<std::size_t>(steps * (2.0 + 20.0 * jumps)));
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
            auto& path = paths[static_cast<std::size_t>(lane)];
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
            if (sells || bridges_moves || path.concerned(lowest - stray, highest + stray) || path.opens(done + steps)) {
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
                    if (path.opens(step)) path.open(step, f);
                    record(step);
                    before = f;
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

// Calls run(positions' type, market) for the kind of positions and of impact that a job has.
template <class Run>
void with_kinds(const PathJob& job, Run&& run) {
    with_market(job.market, 1.0, [&](const auto& market) {
        if (job.turnover) {
            run(std::type_identity<LivingPositions>{}, market);
        } else if (job.random) {
            run(std::type_identity<DrawnPositions>{}, market);
        } else if (job.venue && job.venue->intervenes()) {
            run(std::type_identity<VenuePositions>{}, market);
        } else {
            run(std::type_identity<SortedPositions>{}, market);
        }
    });
}

}  // namespace

void simulate(const PathJob& job, std::uint64_t first, std::size_t count, const PathColumns& columns,
              const Recording& recording, int threads, const Progress& progress) {
    Pulse pulse(progress);
    with_kinds(job, [&](auto kind, const auto& market) {
        parallel_for((count + walk_lanes - 1) / walk_lanes, threads, [&] { pulse.ask(); }, [&](std::size_t task) {
            const std::size_t row = task * walk_lanes, paths = std::min<std::size_t>(walk_lanes, count - row);
            try {
                run_lanes<typename decltype(kind)::type>(job, market, first + row, static_cast<int>(paths), row, columns,
                                                         recording, nullptr, pulse);
            } catch (const Pulse::Stopped&) {
                return;  // the thread that stopped the work says why
            }
            pulse.finished(paths);
        });
    });
    progress(count);
}

std::vector<PathWave> replay(const PathJob& job, std::uint64_t path, const PathColumns& columns,
                             const Recording& recording, const Progress& progress) {
    std::vector<PathWave> waves;
    Pulse pulse(progress);
    with_kinds(job, [&](auto kind, const auto& market) {
        run_lanes<typename decltype(kind)::type>(job, market, path, 1, 0, columns, recording, &waves, pulse);
    });
    return waves;
}

}  // namespace flushpoint
