#include "flushpoint/paths.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <type_traits>

#include "flushpoint/cascade.hpp"
#include "flushpoint/kernels.hpp"
#include "flushpoint/random_side.hpp"
#include "flushpoint/recovery.hpp"
#include "flushpoint/settlement.hpp"
#include "flushpoint/targeting.hpp"
#include "flushpoint/visit.hpp"
#include "flushpoint/visits.hpp"
#include "flushpoint/waterfall.hpp"

namespace flushpoint {

namespace {

using random::Stream;

// Uniform random numbers are at least 2^-52, so no bridge strays further than sqrt(-log(2^-52) / 2) deviations.
constexpr double longest_stray = 4.26;

// How many jumps a path has in a step, on average.
double jumps(const PathJob& job) { return job.process.kind == ProcessKind::jumps ? job.process.parameters[2] : 0.0; }

// What all paths of a job look up.
class Tables {
public:
    Tables(const PathJob& job, std::uint64_t first, std::size_t paths)
        : book_(job.positions.book), recovery_(job.clock.step, job.clock.half_life, job.clock.steps) {
        const bool apart = job.venue && tells_apart(*job.venue, job.positions);
        const bool lives = job.turnover || job.depth || job.market.support.count > 0;
        const bool alone = job.funding || job.bridge || !job.targeting.empty();
        if (lives || job.random || apart || alone || paths < fewest_guided) return;
        const double start = math::log(job.market.price), reach = 1.5 * longest_way(job, first);
        longs_ = Guide(job.positions.book.longs, false, start - reach);
        shorts_ = Guide(job.positions.book.shorts, true, start + reach);
        guides_ = true;
    }

    // Whether there are guides, for visits of many paths side by side.
    bool guides() const { return guides_; }
    Visits visits() const {
        return {{book_.longs, false, longs_.view()}, {book_.shorts, true, shorts_.view()}, recovery_.lasts()};
    }

    const Recovery& recovery() const { return recovery_; }

private:
    static constexpr std::size_t fewest_guided = 256;  // as long as a few paths take, so long it takes to build

    // How far, about, the exogenous log price gets from its start: told by the first few paths, of very long ones by their
    // first steps, since nothing can stop them here.
    static double longest_way(const PathJob& job, std::uint64_t first) {
        Process process(job.process, job.randomness);
        Walk walk;
        process.start(first, walk_lanes, 0.0, walk);
        const std::int64_t all = std::min(job.clock.steps, 1 + static_cast<std::int64_t>(20'000.0 / (1.0 + jumps(job))));
        double way = 0.0;
        for (std::int64_t done = 0; done < all; done += block_steps) {
            const int steps = static_cast<int>(std::min<std::int64_t>(block_steps, all - done));
            process.advance(walk, steps, job.script.moves ? job.script.moves + done : nullptr);
            for (int lane = 0; lane < walk_lanes; ++lane) way = std::max({way, -walk.low[lane], walk.high[lane]});
        }
        return all == 0 ? 0.0 : way * math::square_root(static_cast<double>(job.clock.steps) / static_cast<double>(all));
    }

    BookView book_;
    Recovery recovery_;
    bool guides_ = false;
    Guide longs_, shorts_;
};

// Of runs without one; only what positions lack or leave is asked for then.
const VenueData no_venue{};

// The positions of a path: a book as it is, one whose positions open and close of themselves, or a random one.
struct SortedPositions {
    static constexpr bool lives = false;
    SortedSide longs, shorts;

    SortedPositions(const PathJob& job, std::uint64_t, Pulse&, bool)
        : longs{job.positions.book.longs, false}, shorts{job.positions.book.shorts, true} {}

    SortedSide& side(bool is_short) { return is_short ? shorts : longs; }
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
        : longs{job.positions.book.longs, job.positions.longs.count, false, job.turnover->closing_rate},
          shorts{job.positions.book.shorts, job.positions.shorts.count, true, job.turnover->closing_rate},
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

    // Opens what is due by `now`, at this price; nobody trades at a price of 0 or inf. Triggers are kept as if never
    // scaled by funding, which a new position has not paid.
    void open(double now, double price, double scale) {
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
                if (trades) (side == 0 ? longs : shorts).open(trigger / scale, quantity, next_ + life);
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
    Path(const PathJob& job, const Market<Impact>& market, const Tables& tables, std::uint64_t numbers, double f,
         const PathColumns& columns, bool wants_money, std::vector<PathWave>* waves, Pulse& pulse)
        : job_(&job),
          resting_(&market),
          market_(&market),
          tables_(&tables),
          positions_(job, numbers, pulse, columns.long_notional || columns.short_notional || waves),
          extremes_{f, f, 0.0},
          wants_proceeds_(columns.ledger.proceeds != nullptr),
          wants_money_(wants_money),
          tells_(wants_proceeds_ || wants_money_ || waves || job.funding),
          waves_(waves),
          pulse_(&pulse),
          ledger_(job.venue ? *job.venue : no_venue),
          last_price_(f),
          present_(market) {
        for (const VolatilityTargeting& rule : job.targeting) funds_.emplace_back(rule, job.clock.step);
        if (job.depth) {
            depth_.emplace(*job.depth, job.clock.step, f, market.spread);
            market_ = &present_;
        }
        if (market.support) support_.emplace(*market.support);
        lives_ = depth_ || support_;
        next_triggers();
        bound(0.0, 0.0);
    }

    Path(const Path&) = delete;  // it may point to its own market

    // Whether a stretch whose exogenous log prices span [low, high] may hold a trigger or, unless extremes can be told
    // by `glide`, a new extreme.
    bool concerned(double low, double high) const { return low <= lower_ || high >= upper_ || waiting(); }

    // A stretch in which nothing fires, with its lowest exogenous log price, which stands at step `step`, and its highest.
    template <class Step>
    void glide(double low, double high, Step&& step) {
        if (!constant_) return;
        extremes_.pass(low, high, displacement_, step);
    }

    // What funds have decided to sell in the next step.
    double order() const { return order_; }
    // They look at the traded price at the end of a step; one of 0 or inf tells nothing.
    void look(std::int64_t step, double f) {
        targeted_ += order_;
        order_ = 0.0;
        const double x = log_price(step, f);
        if (infinite(x)) return;
        for (TargetingFund& fund : funds_) {
            fund.move(x - last_price_);
            order_ += fund.trade(step);
        }
        last_price_ = x;
    }

    // The exogenous log price stands at f in step `step`, and `sale` is sold by others.
    void visit(std::int64_t step, double f, double sale) {
        arrive(step, f, sale);
        if (visit_.falls || visit_.rises || waiting()) run();
        leave();
    }

    // Visits side by side with others, in the i-th place, from `join` to `part`. Of each wave in between, `tell` settles what
    // was found.
    void join(Visits& visits, std::size_t i) const {
        visits.sold[i] = trading_.state.sold;
        visits.recovering[i] = trading_.state.recovering;
        visits.outside[i] = trading_.outside;
        visits.since[i] = static_cast<double>(since_);
        visits.displacement[i] = displacement_;
        const SortedSide* sides[] = {&positions_.longs, &positions_.shorts};
        for (int side = 0; side < 2; ++side) {
            visits.closed[side][i] = static_cast<double>(sides[side]->closed);
            visits.quantity[side][i] = sides[side]->quantity();
            visits.next[side][i] = next_[side];
            visits.log_trigger[side][i] = log_trigger_[side];
        }
        visits.low[i] = extremes_.low;
        visits.high[i] = extremes_.high;
        visits.low_step[i] = extremes_.low_step;
        visits.waves[i] = static_cast<double>(trading_.waves);
        visits.exhausted[i] = -std::uint64_t{exhausted_};
        visits.lower[i] = lower_;
        visits.upper[i] = upper_;
        visits.glides[i] = -std::uint64_t{constant_};
    }
    void part(const Visits& visits, std::size_t i) {
        take_state(visits, i);
        since_ = static_cast<std::int64_t>(visits.since[i]);
        for (int side = 0; side < 2; ++side) {
            next_[side] = visits.next[side][i];
            log_trigger_[side] = visits.log_trigger[side][i];
        }
        extremes_ = {visits.low[i], visits.high[i], visits.low_step[i]};
        trading_.waves = static_cast<std::int64_t>(visits.waves[i]);
        exhausted_ = visits.exhausted[i] != 0;
        bound(trading_.displacement, resting_->permanent_displacement(trading_.state.sold));
    }
    bool tells() const { return tells_; }
    void tell(const Visits& visits, std::size_t i) {
        const std::uint64_t is_short = visits.is_short[i];
        const auto closed = static_cast<std::size_t>(visits.closed[is_short][i]);
        if (visits.end[i] == closed) return;
        take_state(visits, i);
        positions_.side(is_short != 0).close_to(visits.end[i]);
        Range sold{positions_.longs.closed, positions_.longs.closed};
        Range bought{positions_.shorts.closed, positions_.shorts.closed};
        (is_short != 0 ? bought : sold).begin = closed;
        settle(static_cast<std::int64_t>(visits.step[i]), visits.start[i], sold, bought);
    }

    double displacement(std::int64_t step) const {
        return resting_->displacement({trading_.state.sold, recovering(step)});
    }
    double log_price(std::int64_t step, double f) const { return f - displacement(step); }
    const Market<Impact>& market() const { return *market_; }

    // Whether positions open by the end of this step, and the opening of those.
    bool opens(std::int64_t step) const {
        if constexpr (Positions::lives) return positions_.next_opening() <= time(step);
        return false;
    }
    void open(std::int64_t step, double f) {
        if constexpr (Positions::lives) {
            const double g = displacement(step);
            positions_.open(time(step), math::exp(f - g), trading_.scale);
            next_triggers();
            bound(g, resting_->permanent_displacement(trading_.state.sold));
        }
    }

    // Longs pay shorts at the end of a step.
    void pay(std::int64_t step) {
        const double g = displacement(step);
        trading_.scale *= 1.0 + job_->funding->rate(step - 1, math::exp(-g) - 1.0);
        log_scale_ = math::log(trading_.scale);
        next_[0] = next_[1] = math::not_a_number;
        next_triggers();
        bound(g, resting_->permanent_displacement(trading_.state.sold));
    }

    void write(const PathColumns& out, std::size_t i, double f) const {
        const Clock& clock = job_->clock;
        if (out.final_price) out.final_price[i] = math::exp(log_price(clock.steps, f));
        if (out.low_price) out.low_price[i] = math::exp(extremes_.low);
        if (out.high_price) out.high_price[i] = math::exp(extremes_.high);
        if (out.low_time) out.low_time[i] = extremes_.low_step * clock.step;
        if (out.long_count) out.long_count[i] = positions_.longs.count();
        if (out.short_count) out.short_count[i] = positions_.shorts.count();
        if (out.long_quantity) out.long_quantity[i] = closed_quantity(positions_.longs);
        if (out.short_quantity) out.short_quantity[i] = closed_quantity(positions_.shorts);
        if (out.long_notional) out.long_notional[i] = job_->funding ? notional_[0] : positions_.longs.notional();
        if (out.short_notional) out.short_notional[i] = job_->funding ? notional_[1] : positions_.shorts.notional();
        if (out.waves) out.waves[i] = trading_.waves;
        if (out.exhausted) out.exhausted[i] = exhausted_;
        if (out.targeting_quantity) out.targeting_quantity[i] = targeted_;
        if (out.support_quantity) out.support_quantity[i] = support_ ? support_->bought() : 0.0;
        if (out.least_liquidity) out.least_liquidity[i] = depth_ ? depth_->least_liquidity() : 1.0;
        if constexpr (Positions::lives) {
            const double end = time(clock.steps);
            if (out.long_open_quantity) out.long_open_quantity[i] = positions_.longs.open_quantity(end);
            if (out.short_open_quantity) out.short_open_quantity[i] = positions_.shorts.open_quantity(end);
        }
        if constexpr (std::is_same_v<Positions, DrawnPositions>) {
            if (out.runaway) out.runaway[i] = positions_.runaway();
        }
        if constexpr (std::is_same_v<Positions, VenuePositions>) {
            const Amount stops = positions_.book.stops();
            if (out.stop_count) out.stop_count[i] = stops.count;
            if (out.stop_quantity) out.stop_quantity[i] = stops.quantity;
            if (out.stop_notional) out.stop_notional[i] = stops.notional;
            out.ledger.write(i, positions_.book.ledger);
        } else if (wants_proceeds_ || wants_money_) {
            out.ledger.write(i, ledger_);
        }
    }

private:
    void arrive(std::int64_t step, double f, double sale) {
        visit_.step = step;
        visit_.f = f;
        visit_.sale = sale;
        visit_.before = trading_.state;
        visit_.outside = trading_.outside;
        visit_.waves = trading_.waves;
        trading_.state.recovering = recovering(step);
        if (lives_) scale_volumes(market_->liquidity);
        if (sale != 0.0) trading_.sell_outside(sale);
        trading_.update(*market_);
        trading_.highest = trading_.lowest = trading_.displacement;
        const double below = market_->mark_displacement(trading_.displacement);
        visit_.falls = falls_to(f, log_trigger_[0], below);
        visit_.rises = rises_to(f, log_trigger_[1], below);
        if (support_) {
            support_->set_start(f);
            visit_.supported = trading_.displacement > f - support_->log_price();
            visit_.falls |= visit_.supported;
        }
    }
    void run() {
        const double exogenous = math::exp(visit_.f);
        if constexpr (Positions::lives) positions_.set_time(time(visit_.step));
        if constexpr (std::is_same_v<Positions, VenuePositions>) {
            positions_.book.begin_step(time(visit_.step), job_->clock.step, trading_);
        }
        run_waves(positions_.longs, positions_.shorts, *market_, exogenous, 0.0, support_ ? &*support_ : nullptr, trading_,
                  [&](auto& sold, auto& bought) { settle(visit_.step, exogenous, sold, bought); });
        next_triggers();
    }
    // Where visits beside others have brought the market and the book.
    void take_state(const Visits& visits, std::size_t i) {
        trading_.state = {visits.sold[i], visits.recovering[i]};
        trading_.displacement = visits.displacement[i];
        SortedSide* sides[] = {&positions_.longs, &positions_.shorts};
        for (int side = 0; side < 2; ++side) {
            sides[side]->close_to(static_cast<std::size_t>(visits.closed[side][i]), visits.quantity[side][i]);
        }
    }
    void leave() {
        extremes_.meet(true, visit_.f, trading_.highest, trading_.lowest, static_cast<double>(visit_.step));
        exhausted_ |= infinite(trading_.highest) || infinite(trading_.lowest);
        const double displacement = trading_.displacement;
        if (trading_.waves != visit_.waves || visit_.sale != 0.0 || visit_.supported) {
            since_ = visit_.step;
            if (lives_) scale_volumes(1.0 / market_->liquidity);
        } else {
            trading_.state = visit_.before;
            trading_.outside = visit_.outside;  // what recovers is counted from the last trade, however often we looked
        }
        if (depth_) {
            pulse_->spent(5);
            depth_->move(visit_.f - displacement);
            present_.liquidity = depth_->liquidity();
            present_.spread = depth_->spread();
        }
        bound(displacement, resting_->permanent_displacement(trading_.state.sold));
    }

    // Between steps volumes are kept in units of the depth at rest, within a step in those of the depth that it meets: the
    // price stays where it is when the depth changes.
    void scale_volumes(double by) {
        if (by == 1.0) return;
        State& state = trading_.state;
        state = {state.sold * by, state.recovering * by};
        trading_.outside = state.sold - (positions_.longs.quantity() - positions_.shorts.quantity());
    }

    double time(std::int64_t step) const { return static_cast<double>(step) * job_->clock.step; }
    double recovering(std::int64_t step) const {
        return tables_->recovery().recovering(trading_.state.recovering, since_, step);
    }

    void next_triggers() {
        const double now[] = {positions_.longs.next_trigger(), positions_.shorts.next_trigger()};
        for (int side = 0; side < 2; ++side) {
            if (now[side] != next_[side]) log_trigger_[side] = shifted(math::log(next_[side] = now[side]), log_scale_);
        }
    }

    // Until the next trade the displacement goes from `now` to `rest`; extremes are told by `glide` where it stays and no
    // bridge strays from the steps, or else watched for like triggers.
    void bound(double now, double rest) {
        const Course<double> course(now, tables_->recovery().lasts() ? now : rest);
        Bounds<double> bounds(*market_, log_trigger_[0], log_trigger_[1], course);
        constant_ = course.stays() && !job_->bridge && !depth_;
        displacement_ = now;
        bounds.keep_within(!constant_, extremes_, course);
        lower_ = bounds.lower;
        upper_ = bounds.upper;
        if (lives_) watch(course.most);
    }

    // What lives besides positions: buyers have prices to be watched for, and depth changes in every step.
    void watch(double displacement) {
        if (support_) lower_ = std::max(lower_, shifted(support_->log_price(), displacement + slack));
        if (!depth_) return;
        lower_ = math::infinity;
        upper_ = -math::infinity;
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
                    BankruptcyView long_prices = view.longs.bankruptcy, short_prices = view.shorts.bankruptcy;
                    long_prices.scale = short_prices.scale = trading_.scale;
                    settle_wave(*market_, exogenous, trading_.state, view.book, long_prices, sold, short_prices, bought,
                                ledger_);
                }
            }
            if (wants_proceeds_ && !wants_money_) {
                ledger_.traded(
                    wave_proceeds(*market_, exogenous, trading_.state, longs.quantity(sold), shorts.quantity(bought)));
            }
        }
        if (waves_ || job_->funding) {
            const double now[] = {longs.notional(), shorts.notional()};
            double notional = 0.0;
            for (int side = 0; side < 2; ++side) {
                if (now[side] == counted_[side]) continue;  // both may be infinite
                const double closed = trading_.scale * (now[side] - counted_[side]);
                notional_[side] += closed;
                notional += closed;
                counted_[side] = now[side];
            }
            if (waves_) {
                waves_->push_back({step, exogenous * math::exp(-trading_.displacement), quantity,
                                   static_cast<std::int64_t>(sold.size() + bought.size()), notional});
            }
        }
    }

    struct Visit {
        std::int64_t step;
        double f, sale;
        State before{0.0, 0.0};  // of the market, with what had been sold by others and how many waves there had been
        double outside;
        std::int64_t waves;
        bool falls, rises;  // far enough to cross, perhaps, a long's or a short's trigger
        bool supported;     // far enough for support to buy
    };

    // What every visit needs stands together.
    const PathJob* job_;
    const Market<Impact>* resting_;
    const Market<Impact>* market_;  // as the step meets it
    const Tables* tables_;
    Positions positions_;
    Trading trading_;
    Visit visit_{};
    std::int64_t since_ = 0;  // the step of the last trade
    Extremes<double> extremes_;
    double next_[2] = {math::not_a_number, math::not_a_number};  // triggers, of longs and shorts
    double log_trigger_[2];                                      // their logs
    double log_scale_ = 0.0;
    double lower_, upper_;                 // exogenous log prices between which nothing can happen
    double displacement_;                  // since the last trade, where it stays
    bool constant_;                        // whether the displacement stays until the next trade
    bool exhausted_ = false;
    bool lives_ = false;                   // whether depth or support does
    bool wants_proceeds_, wants_money_;    // of each wave
    bool tells_;                           // of waves at all
    std::vector<PathWave>* waves_;
    Pulse* pulse_;
    Ledger ledger_;  // where the positions keep none themselves
    double notional_[2]{}, counted_[2]{};  // closed so far, longs and shorts; the same at the book's own triggers
    std::vector<TargetingFund> funds_;
    double last_price_;                    // log price at which they looked
    double order_ = 0.0, targeted_ = 0.0;  // what they sell in the next step, and have sold
    Market<Impact> present_;               // with the depth and the spread of the step, where they change
    std::optional<LivingDepth> depth_;
    std::optional<Support> support_;
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

// Up to `walk_lanes` paths, whose steps are made together, block by block.
template <class Impact, class Positions>
class Lanes {
    using OnePath = Path<Impact, Positions>;

public:
    // Only plain books have cascades that run beside those of other paths.
    static constexpr bool joins = std::is_same_v<Positions, SortedPositions>;

    Lanes(const PathJob& job, const Market<Impact>& market, const Tables& tables, std::uint64_t first, int count,
          std::size_t row, const PathColumns& columns, const Recording& recording, std::vector<PathWave>* waves, Pulse& pulse)
        : job_(job),
          columns_(columns),
          recording_(recording),
          pulse_(pulse),
          process_(job.process, job.randomness),
          first_(first),
          count_(count),
          row_(row),
          alone_(!tables.guides()) {
        const double start = math::log(job.market.price);
        const bool wants_money = columns.ledger.needs_bankruptcy();
        for (int lane = 0; lane < count; ++lane) {
            const std::uint64_t numbers = job.randomness.numbers(first + static_cast<std::uint64_t>(lane));
            paths_[lane].emplace(job, market, tables, numbers, start, columns, wants_money, waves, pulse);
        }
        process_.start(first, count, start, walk_);
        if (recording.count > 0 && recording.at[0] == 0) {
            for (int lane = 0; lane < count; ++lane) record(lane, 0, job.market.price);
            recorded_ = 1;
        }
    }

    bool done() const { return done_ == job_.clock.steps; }

    // A path within the block in which something may happen.
    struct Visitor {
        OnePath* path;
        Lanes* lanes;
        const double* f;      // of the block
        std::int64_t before;  // steps before it
        int step, steps;      // of the block: the next to look at, and all
    };

    // Walks the next block, in which those paths that are written to `visitors` have yet to be taken through it; tells how
    // many they are.
    std::size_t advance(Visitor* visitors) {
        const int steps = static_cast<int>(std::min<std::int64_t>(block_steps, job_.clock.steps - done_));
        pulse_.spent(static_cast<std::size_t>(steps * (2.0 + 20.0 * jumps(job_))));
        std::copy_n(walk_.log_price, walk_lanes, from_);
        const double* moves = job_.script.moves ? job_.script.moves + done_ : nullptr;
        const double* sales = job_.script.sales ? job_.script.sales + done_ : nullptr;
        const double* due = job_.funding ? job_.funding->due + done_ : nullptr;
        process_.advance(walk_, steps, moves);
        const auto any = [&](const double* events) {
            return events && std::any_of(events, events + steps, [](double e) { return e != 0.0; });
        };
        if (!any(moves)) moves = nullptr;
        if (!any(sales)) sales = nullptr;
        if (!any(due)) due = nullptr;
        std::size_t record_end = recorded_;
        while (record_end < recording_.count && recording_.at[record_end] <= done_ + steps) ++record_end;
        const bool every = sales || due || (job_.bridge && moves) || !job_.targeting.empty();  // path is looked at
        const bool joined = joins && !alone_ && !sales && record_end == recorded_;
        const double stray = job_.bridge ? longest_stray * job_.process.parameters[1] : 0.0;
        done_ += steps;
        steps_ = steps;

        visiting = 0;
        for (int lane = 0; lane < count_; ++lane) {
            OnePath& path = *paths_[lane];
            const double lowest = std::min(walk_.low[lane], from_[lane]), highest = std::max(walk_.high[lane], from_[lane]);
            if (every || path.concerned(lowest - stray, highest + stray) || path.opens(done_)) {
                if (joined) {
                    for (int s = 0; s < steps; ++s) taken_[visiting][s] = walk_.path[s][lane];
                    visitors[visiting] = {&path, this, taken_[visiting], done_ - steps, 0, steps};
                    ++visiting;
                } else {
                    take(lane, moves, sales, due, stray, record_end);
                }
            } else {
                path.glide(walk_.low[lane], walk_.high[lane], [&] {
                    int s = 0;
                    while (walk_.path[s][lane] != walk_.low[lane]) ++s;
                    return done_ - steps + s + 1;
                });
                record(lane, recorded_, record_end, done_);
            }
        }
        recorded_ = record_end;
        return visiting;
    }

    void write() const {
        for (int lane = 0; lane < count_; ++lane) {
            paths_[lane]->write(columns_, row_ + static_cast<std::size_t>(lane), walk_.log_price[lane]);
        }
    }

    std::size_t visiting = 0;  // how many of the paths have yet to be taken through the block

private:
    void record(int lane, std::size_t at, double price) {
        const std::size_t i = (row_ + static_cast<std::size_t>(lane)) * recording_.count + at;
        const auto& market = paths_[lane]->market();
        recording_.prices[i] = price;
        if (recording_.liquidity) recording_.liquidity[i] = market.liquidity;
        if (recording_.spread) recording_.spread[i] = market.spread;
    }

    // Prices of one path, from `next` on, up to a step of the block; where to go on.
    std::size_t record(int lane, std::size_t next, std::size_t end, std::int64_t until) {
        for (; next < end && recording_.at[next] <= until; ++next) {
            const std::int64_t step = recording_.at[next];
            const double f = walk_.path[step - (done_ - steps_) - 1][lane];
            record(lane, next, math::exp(paths_[lane]->log_price(step, f)));
        }
        return next;
    }

    // Takes one path through the block, step by step.
    void take(int lane, const double* moves, const double* sales, const double* due, double stray,
              std::size_t record_end) {
        OnePath& path = *paths_[lane];
        const bool watches_low = job_.random ? !job_.random->positions.front().shorts : job_.positions.book.longs.count > 0;
        const bool bridges = job_.bridge, targets = !job_.targeting.empty();
        const bool plain = !sales && !due && !targets && recorded_ == record_end;
        const int steps = steps_;
        std::size_t next = recorded_;
        std::int64_t step = done_ - steps;
        double before = from_[lane];
        for (int s = 0; s < steps; ++s) {
            ++step;
            const double f = walk_.path[s][lane];
            const double sale = plain ? 0.0 : (sales ? sales[s] : 0.0) + path.order();
            if (bridges) {
                const double arrival = moves ? f - moves[s] : f;  // the bridge's end: moves come after it
                if (path.concerned(std::min(before, arrival) - stray, std::max(before, arrival) + stray)) {
                    const double extreme = bridge_extreme(job_, first_ + static_cast<std::uint64_t>(lane), step, before,
                                                          arrival, watches_low);
                    if (path.concerned(extreme, extreme)) {
                        path.visit(step, extreme, 0.0);
                    } else {
                        path.glide(extreme, extreme, [&] { return step; });
                    }
                }
            }
            if (sale != 0.0 || path.concerned(f, f)) {
                path.visit(step, f, sale);
            } else {
                path.glide(f, f, [&] { return step; });
            }
            if (path.opens(step)) path.open(step, f);
            before = f;
            if (plain) continue;
            if (due && due[s] != 0.0) path.pay(step);
            if (targets) path.look(step, f);
            next = record(lane, next, record_end, step);
        }
    }

    const PathJob& job_;
    const PathColumns& columns_;
    const Recording& recording_;
    Pulse& pulse_;
    Process process_;
    Walk walk_;
    double from_[walk_lanes];  // log prices before the block
    double taken_[walk_lanes][block_steps] = {};  // log prices of those visited
    std::optional<OnePath> paths_[walk_lanes];
    std::uint64_t first_;
    int count_;
    std::size_t row_;
    bool alone_;
    std::int64_t done_ = 0;  // steps, with those of the block
    int steps_ = 0;          // of the block
    std::size_t recorded_ = 0;
};

// Runs paths to their end, the visits of many side by side, wave by wave: what one waits for, memory or an exponential,
// others need not. Whichever eight have come through a block walk the next.
template <class Eight>
class Together {
public:
    Together(const MarketData& market, const Tables& tables, Pulse& pulse)
        : kernel_(kernels()), market_(market), recovery_(tables.recovery()), pulse_(pulse), visits_(tables.visits()) {}

    void run(std::deque<Eight>& eights) {
        for (Eight& eight : eights) refill(eight);
        for (;;) {
            while (kernel_.begin_visits(visits_, market_)) {
                for (std::size_t i = visits_.count; i-- > 0;) {
                    if (visits_.both[i] != 0) visit_alone(i);
                }
            }
            if (visits_.count == 0) return;
            pulse_.spent(2 * visits_.count);
            kernel_.search_ends(visits_);
            if (visitors_[0].path->tells()) {
                for (std::size_t i = 0; i < visits_.count; ++i) visitors_[i].path->tell(visits_, i);
            }
            kernel_.close_waves(visits_, market_);
            for (std::size_t k = visits_.ended; k-- > 0;) go_on(visits_.through[k]);
        }
    }

private:
    // Sees to it that some of an eight's paths are on a visit.
    void refill(Eight& eight) {
        while (eight.visiting == 0 && !eight.done()) {
            const std::size_t begin = visits_.count;
            eight.visiting = eight.advance(visitors_ + begin);
            visits_.count += eight.visiting;
            for (std::size_t i = visits_.count; i-- > begin;) {
                visitors_[i].path->join(visits_, i);
                if (!look(i)) part(i);
            }
        }
    }
    // Takes a path to its next visit, or through the block.
    void go_on(std::size_t i) {
        if (look(i)) return;
        Eight& eight = *visitors_[i].lanes;
        part(i);
        refill(eight);
    }
    // The same for a visit in which triggers of both sides may be crossed.
    void visit_alone(std::size_t i) {
        const Visitor& visitor = visitors_[i];
        visitor.path->part(visits_, i);
        visitor.path->visit(visitor.before + visitor.step, visitor.f[visitor.step - 1], 0.0);
        visitor.path->join(visits_, i);
        go_on(i);
    }
    // Whether there is another visit in the block.
    bool look(std::size_t i) {
        Visitor& visitor = visitors_[i];
        const int begin = visitor.step;
        const int end = kernel_.first_outside(visitor.f, begin, visitor.steps, visits_.lower[i], visits_.upper[i]);
        if (visits_.glides[i] != 0) glide(i, begin, end);
        if (end == visitor.steps) return false;
        visitor.step = end + 1;
        const std::int64_t step = visitor.before + end + 1;
        visits_.begins[i] = ~std::uint64_t{0};
        visits_.log_start[i] = visitor.f[end];
        visits_.step[i] = static_cast<double>(step);
        visits_.left[i] = recovery_.left_after(step - static_cast<std::int64_t>(visits_.since[i]));
        return true;
    }
    // Steps in which the displacement stays where it is.
    void glide(std::size_t i, int begin, int end) {
        const Visitor& visitor = visitors_[i];
        Extremes<double> extremes{visits_.low[i], visits_.high[i], visits_.low_step[i]};
        for (int s = begin; s < end; ++s) {
            extremes.meet(true, visitor.f[s], visits_.displacement[i], visits_.displacement[i],
                          static_cast<double>(visitor.before + s + 1));
        }
        visits_.low[i] = extremes.low;
        visits_.high[i] = extremes.high;
        visits_.low_step[i] = extremes.low_step;
    }
    // Gives a place back, to be taken by the last path.
    void part(std::size_t i) {
        visitors_[i].path->part(visits_, i);
        --visitors_[i].lanes->visiting;
        visits_.drop(i);
        visitors_[i] = visitors_[visits_.count];
    }

    using Visitor = typename Eight::Visitor;

    const Kernels& kernel_;
    const MarketData& market_;
    const Recovery& recovery_;
    Pulse& pulse_;
    Visits visits_;
    Visitor visitors_[Visits::most];
};

template <class Eight>
void run_to_end(std::deque<Eight>& eights, const MarketData& market, const Tables& tables, Pulse& pulse) {
    if constexpr (Eight::joins) {
        Together<Eight>(market, tables, pulse).run(eights);
    } else {
        for (Eight& eight : eights) {
            while (!eight.done()) eight.advance(nullptr);
        }
    }
    for (const Eight& eight : eights) eight.write();
}

// Calls run(positions' type, market) for the kind of positions and of impact that a job has.
template <class Run>
void with_kinds(const PathJob& job, Run&& run) {
    with_market(job.market, 1.0, [&](const auto& market) {
        if (job.turnover) {
            run(std::type_identity<LivingPositions>{}, market);
        } else if (job.random) {
            run(std::type_identity<DrawnPositions>{}, market);
        } else if (job.venue && tells_apart(*job.venue, job.positions)) {
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
    const Tables tables(job, first, count);
    with_kinds(job, [&](auto kind, const auto& market) {
        using Eight = Lanes<typename std::decay_t<decltype(market)>::Family, typename decltype(kind)::type>;
        // Enough tasks for every thread to have several, and as many paths in each as gain from one another.
        const std::size_t fair = count / (walk_lanes * std::size_t{4} * static_cast<std::size_t>(std::max(threads, 1)));
        const std::size_t most =
            walk_lanes * (tables.guides() ? std::clamp<std::size_t>(fair, 1, Visits::most / walk_lanes) : 1);
        parallel_for((count + most - 1) / most, threads, [&] { pulse.ask(); }, [&](std::size_t task) {
            const std::size_t begin = task * most, end = std::min(begin + most, count);
            try {
                std::deque<Eight> eights;
                for (std::size_t row = begin; row < end; row += walk_lanes) {
                    eights.emplace_back(job, market, tables, first + row,
                                        static_cast<int>(std::min<std::size_t>(walk_lanes, end - row)), row, columns,
                                        recording, nullptr, pulse);
                }
                run_to_end(eights, job.market, tables, pulse);
            } catch (const Pulse::Stopped&) {
                return;  // the thread that stopped the work says why
            }
            pulse.finished(end - begin);
        });
    });
    progress(count);
}

std::vector<PathWave> replay(const PathJob& job, std::uint64_t path, const PathColumns& columns,
                             const Recording& recording, const Progress& progress) {
    std::vector<PathWave> waves;
    Pulse pulse(progress);
    const Tables tables(job, path, 1);
    with_kinds(job, [&](auto kind, const auto& market) {
        std::deque<Lanes<typename std::decay_t<decltype(market)>::Family, typename decltype(kind)::type>> eights;
        eights.emplace_back(job, market, tables, path, 1, 0, columns, recording, &waves, pulse);
        run_to_end(eights, job.market, tables, pulse);
    });
    return waves;
}

}  // namespace flushpoint
