// Cascades through several markets: positions that stand for themselves, in the book of each market, and accounts whose
// positions in several share margin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "flushpoint/accounts.hpp"
#include "flushpoint/cascade.hpp"
#include "flushpoint/ledger_columns.hpp"
#include "flushpoint/lookout.hpp"
#include "flushpoint/pulse.hpp"
#include "flushpoint/stress.hpp"
#include "flushpoint/venue_run.hpp"
#include "flushpoint/waterfall.hpp"

namespace flushpoint {

// A market and its own positions, with the group of each in firing order (null where there are none).
struct MarketBook {
    MarketData market;
    VenueBookView positions;
    const std::int32_t* long_group;
    const std::int32_t* short_group;
};

struct MarketsView {
    std::vector<MarketBook> books;
    // Log displacement of market m for a unit sold in market k and not recovered, [m * count + k]; null for none.
    const double* cross_impact;
    // Whether all trades of a round are filled at the mean of a market's prices before and after, not each at its own.
    bool midpoint;

    std::size_t count() const { return books.size(); }
    std::vector<double> prices() const {
        std::vector<double> out;
        for (const MarketBook& book : books) out.push_back(book.market.price);
        return out;
    }
};

struct AccountJob {
    MarketsView markets;
    AccountsView accounts;
    VenueData venue;
    std::size_t groups;  // 1 where there are none
    // Accounts whose largest loss, when they first fail, stands in this market trade in no other: what they close there is
    // taken over at the mark. Only prices tell anything then. -1 for none.
    std::int32_t confined = -1;
};

// A wave of one market; all markets' waves of one round are triggered by the same prices.
struct AccountWave {
    std::int64_t round;
    std::int64_t market;
    double price;
    double quantity;
    std::int64_t count;
    double notional;
};

// Where to write, [row * markets + market], the ledger and rounds [row], the groups' [row * groups + group]; any may be
// null. Positions of the books are counted apart, since their counts tell which they are.
struct AccountColumns {
    double* final_price;
    double* low_price;
    double* high_price;
    double* low_time;  // seconds; of paths alone
    double* amplification;  // of scenarios alone
    bool* exhausted;
    std::int64_t* waves;
    std::int64_t* own_longs;
    std::int64_t* own_shorts;
    std::int64_t* shared_longs;
    std::int64_t* shared_shorts;
    double* long_quantity;
    double* short_quantity;
    double* long_notional;
    double* short_notional;
    std::int64_t* rounds;
    double* liquidator_profit;
    double* liquidator_cash;  // what sales brought less what was repaid
    std::int64_t* group_closed;  // accounts over several markets
    std::int64_t* group_defaulted;
    double* group_shortfall;
    LedgerColumns ledger;
};

// Scenarios of several markets: shock, sell and liquidity of market m in scenario i stand at [i * markets + m].
struct AccountScenarios {
    const double* shock;
    const double* sell;
    const double* liquidity;
    double refill;
    std::size_t count;
    std::int64_t rounds = unlimited;  // the most that trade

    static constexpr std::int64_t unlimited = 0x7fffffffffffffff;
};

inline namespace FLUSHPOINT_ARCH {

// One market in the course of a cascade.
struct MarketRun {
    explicit MarketRun(const MarketBook& b)
        : book(&b), longs{b.positions.book.longs, false}, shorts{b.positions.book.shorts, true} {}

    const MarketBook* book;
    SortedSide longs, shorts;
    double liquidity = 1.0;
    double start = 0.0;  // exogenous price
    double pushed = 0.0;  // displacement by what was sold in other markets
    Trading trading;
    // Closed of accounts over several markets, longs and shorts.
    std::int64_t count[2] = {};
    double quantity[2] = {}, notional[2] = {};
    // Of the cascade: what recovers but was not sold by positions; of the round: what is closed of the book, and where the
    // market then stands, account by account.
    double recovered = 0.0;
    Range sold{0, 0}, bought{0, 0};
    State before{0.0, 0.0}, now{0.0, 0.0};
    AccountWave wave{};

    template <class Function>
    auto as_market(Function&& f) const {
        return with_market(book->market, liquidity, f);
    }
    double closed() const { return longs.quantity() - shorts.quantity() + (quantity[0] - quantity[1]); }
    double mark_displacement() const {
        return as_market([&](const auto& market) { return market.mark_displacement(trading.displacement); });
    }
    // What the price is before what is sold here moves it.
    double from() const { return pushed == 0.0 ? start : start * math::exp(-pushed); }
};

// Several markets, the positions in them, and who pays, in one scenario or path. A round closes all that is crossed at
// the same prices: in each market its longs in firing order, its shorts, then accounts over several markets in their
// order. Purchases and sales of a round meet in each market the prices that the others' earlier rounds have left.
class AccountRun {
public:
    AccountRun(const AccountJob& job, const Thresholds& thresholds)
        : job_(&job), held_(job.accounts), lookout_(job.accounts, thresholds), ledger_(job.venue), mark_(job.markets.count()) {
        begin();
    }
    AccountRun(const AccountRun&) = delete;

    // Back to the start.
    void begin() {
        markets.clear();
        for (const MarketBook& book : job_->markets.books) markets.emplace_back(book);
        held_.reset();
        lookout_.reset();
        ledger_ = Ledger(job_->venue);
        rounds_ = 0;
        liquidator_profit_ = liquidator_cash_ = 0.0;
        origins_.clear();
        group_closed_.assign(job_->groups, 0);
        group_defaulted_.assign(job_->groups, 0);
        sold_out_.clear();
        for (std::size_t a = 0; job_->accounts.has_banks() && a < job_->accounts.count; ++a) {
            if (!held_.open(a)) sold_out_.push_back(a);
        }
        group_shortfall_.assign(job_->groups, 0.0);
    }

    // Works out every market's displacement.
    void update() {
        const double* cross = job_->markets.cross_impact;
        for (std::size_t m = 0; m < markets.size(); ++m) {
            MarketRun& one = markets[m];
            one.trading.displacement =
                one.as_market([&](const auto& market) { return market.displacement(one.trading.state); });
            if (!cross) continue;
            one.pushed = 0.0;
            for (std::size_t k = 0; k < markets.size(); ++k) {
                const double impact = cross[m * markets.size() + k];
                if (impact != 0.0) one.pushed += impact * (markets[k].trading.state.recovering / markets[k].liquidity);
            }
            one.trading.displacement += one.pushed;
        }
    }

    // Rounds from the markets' starts until nothing is crossed, or so many. Calls on_wave(wave) for each market's wave.
    template <class OnWave>
    void cascade(double refill, Pulse& pulse, OnWave&& on_wave, std::int64_t most = AccountScenarios::unlimited) {
        for (MarketRun& one : markets) one.recovered = one.trading.state.recovering - one.closed();
        for (; take(most > 0); --most) {
            settle(pulse);
            ++rounds_;
            for (MarketRun& one : markets) {
                if (one.wave.count == 0) continue;
                ++one.trading.waves;
                const double closed = one.closed();
                const double recovering = refill == 0.0 ? one.recovered + closed : one.now.recovering;
                one.trading.state = {one.trading.outside + closed, recovering};
                on_wave(one.wave);
            }
            update();
            for (MarketRun& one : markets) {
                // Where nothing was traded only others can have moved the price.
                if (one.wave.count > 0 || job_->markets.cross_impact) extremes(one.trading);
            }
            if (refill == 0.0) continue;
            for (MarketRun& one : markets) {
                if (one.wave.count > 0) one.trading.state.recovering *= 1.0 - refill;
            }
            update();
        }
    }
    static void extremes(Trading& trading) {
        trading.highest = std::max(trading.highest, trading.displacement);
        trading.lowest = std::min(trading.lowest, trading.displacement);
    }

    const Lookout& lookout() const { return lookout_; }
    const Holdings& held() const { return held_; }
    const std::vector<double>& marks() const { return mark_; }
    std::int64_t rounds() const { return rounds_; }

    void write(const AccountColumns& out, std::size_t row) const {
        const auto put = [](auto* column, std::size_t at, auto value) {
            if (column) column[at] = value;
        };
        for (std::size_t m = 0; m < markets.size(); ++m) {
            const MarketRun& one = markets[m];
            const std::size_t at = row * markets.size() + m;
            put(out.waves, at, one.trading.waves);
            put(out.own_longs, at, one.longs.count());
            put(out.own_shorts, at, one.shorts.count());
            put(out.shared_longs, at, one.count[0]);
            put(out.shared_shorts, at, one.count[1]);
            put(out.long_quantity, at, one.longs.quantity() + one.quantity[0]);
            put(out.short_quantity, at, one.shorts.quantity() + one.quantity[1]);
            put(out.long_notional, at, one.longs.notional() + one.notional[0]);
            put(out.short_notional, at, one.shorts.notional() + one.notional[1]);
        }
        for (std::size_t g = 0; g < job_->groups; ++g) {
            put(out.group_closed, row * job_->groups + g, group_closed_[g]);
            put(out.group_defaulted, row * job_->groups + g, group_defaulted_[g]);
            put(out.group_shortfall, row * job_->groups + g, group_shortfall_[g]);
        }
        put(out.rounds, row, rounds_);
        put(out.liquidator_profit, row, liquidator_profit_);
        put(out.liquidator_cash, row, liquidator_cash_);
        out.ledger.write(row, ledger_);
    }

    std::vector<MarketRun> markets;

private:
    // What is crossed now; whether any of it trades. Where none may, banks still default.
    bool take(bool may_trade) {
        bool any = false;
        for (std::size_t m = 0; m < markets.size(); ++m) {
            MarketRun& one = markets[m];
            const double factor = math::exp(one.mark_displacement());
            mark_[m] = one.start / factor;
            if (!may_trade) continue;
            one.sold = one.longs.take(factor, one.start);
            one.bought = one.shorts.take(factor, one.start);
            any |= one.sold.size() + one.bought.size() > 0;
        }
        look();
        return may_trade && (any || !failing_.empty());
    }

    void look() {
        lookout_.due(mark_.data(), due_);
        failing_.clear();
        planned_.clear();
        for (const std::int32_t account : due_) {
            const auto a = static_cast<std::size_t>(account);
            const Standing now = standing(held_, a, mark_.data());
            if (now.fails() && plan(a)) {
                failing_.push_back(a);
            } else {
                lookout_.hang(held_, a, mark_.data(), now.fails() ? standing(held_, a, mark_.data()) : now);
            }
        }
        for (const std::size_t a : sold_out_) {
            const bool before = held_.bank(a).defaulted;
            group_defaulted_[group_of(a)] += in_default(held_, a, mark_.data()) && !before;
        }
        sold_out_.clear();
    }
    // What a failing account closes; whether it is anything.
    bool plan(std::size_t a) {
        closing_shares(held_, a, mark_.data(), shares_);
        if (job_->accounts.has_banks()) {
            group_defaulted_[group_of(a)] += held_.bank(a).defaulted;
            if (shares_[0] == 0.0) return false;
        }
        planned_.insert(planned_.end(), shares_.begin(), shares_.end());
        return true;
    }
    std::size_t group_of(std::size_t a) const {
        return static_cast<std::size_t>(job_->accounts.group ? job_->accounts.group[a] : 0);
    }

    void settle(Pulse& pulse) {
        for (std::size_t m = 0; m < markets.size(); ++m) {
            MarketRun& one = markets[m];
            const BookView& book = one.book->positions.book;
            one.before = one.trading.state;
            const double quantity = one.longs.quantity(one.sold), count = one.shorts.quantity(one.bought);
            one.now = one.before.after(quantity).after(-count);
            const Wave wave = wave_of(book, one.start, one.trading, one.sold, one.bought);
            one.wave = {rounds_, static_cast<std::int64_t>(m), wave.price, wave.quantity, wave.count, wave.notional};
            if (wave.count > 0) settle_book(one);
        }
        if (job_->markets.midpoint) find_fills();
        const double* shares = planned_.data();
        for (const std::size_t a : failing_) {
            close(a, shares);
            shares += job_->accounts.end(a) - job_->accounts.begin(a);
        }
        pulse.spent(100 * markets.size() + 10 * failing_.size());
    }

    // The one price of each market's trades in this round.
    void find_fills() {
        const auto price = [](const MarketRun& one) { return one.start * math::exp(-one.trading.displacement); };
        fill_.clear();
        for (const MarketRun& one : markets) fill_.push_back(0.5 * price(one));
        const double* share = planned_.data();
        for (const std::size_t a : failing_) {
            for (std::size_t p = job_->accounts.begin(a); p < job_->accounts.end(a); ++p) {
                const double quantity = job_->accounts.brought_to_market(*share++ * held_.quantity(a, p));
                const std::int32_t m = job_->accounts.market[p];
                State& state = markets[static_cast<std::size_t>(m)].trading.state;
                if (trades(a, m)) state = state.after(quantity);
            }
        }
        update();
        for (std::size_t m = 0; m < markets.size(); ++m) fill_[m] += 0.5 * price(markets[m]);
        for (MarketRun& one : markets) one.trading.state = one.before;
        update();
    }
    // Money for what an account sells in a market.
    double fetch(std::size_t m, double quantity) const {
        if (job_->markets.midpoint) return quantity * fill_[m];
        const MarketRun& one = markets[m];
        return one.as_market([&](const auto& market) { return market.proceeds(one.from(), one.now, quantity); });
    }

    void settle_book(const MarketRun& one) {
        const VenueBookView& positions = one.book->positions;
        one.as_market([&](const auto& market) {
            settle_wave(market, one.from(), one.before, positions.book, positions.longs.bankruptcy, one.sold,
                        positions.shorts.bankruptcy, one.bought, ledger_);
            if (!one.book->long_group) return;
            wave_positions(market, one.from(), one.before, one.longs, one.sold, one.shorts, one.bought,
                           [&](bool is_short, std::size_t i, double quantity, double proceeds) {
                               const VenueColumns& side = is_short ? positions.shorts : positions.longs;
                               const std::int32_t* group = is_short ? one.book->short_group : one.book->long_group;
                               group_shortfall_[static_cast<std::size_t>(group[i])] +=
                                   Money::of(quantity, side.bankruptcy.price[i], proceeds).shortfall;
                           });
        });
    }

    // Closes these shares of a failing account's positions, and tells who pays if that is all it had.
    void close(std::size_t a, const double* shares) {
        const AccountsView& view = job_->accounts;
        const double money_before = held_.money(a);
        const double repaid = view.has_loans() ? repayment(held_, a, mark_.data()).money : 0.0;
        double traded = 0.0, proceeds = 0.0, kept = 0.0;
        for (std::size_t p = view.begin(a); p < view.end(a); ++p) {
            const double share = shares[p - view.begin(a)], held = held_.quantity(a, p), quantity = share * held;
            if (quantity == 0.0) continue;
            const auto m = static_cast<std::size_t>(view.market[p]);
            if (!trades(a, view.market[p])) {
                held_.close(a, p, share, quantity * mark_[m]);
                continue;
            }
            MarketRun& one = markets[m];
            const double order = view.brought_to_market(quantity), money = fetch(m, order);
            one.now = one.now.after(order);
            const int side = quantity < 0.0;
            one.count[side] += held_.left(a, p) == 1.0;
            one.quantity[side] += size_of(order);
            one.notional[side] += size_of(order) * mark_[m];
            one.wave.quantity += size_of(order);
            one.wave.count += 1;
            one.wave.notional += size_of(order) * mark_[m];
            held_.close(a, p, share, view.has_loans() ? 0.0 : money);
            traded += size_of(money);
            proceeds = added(proceeds, money);
            kept += (quantity - order) * mark_[m];
        }
        ledger_.proceeds = added(ledger_.proceeds, proceeds);
        if (view.has_loans()) {  // the account has what was repaid, the liquidator what sales bring
            held_.receive(a, repaid);
            liquidator_profit_ += proceeds + kept - repaid;
            liquidator_cash_ += proceeds - repaid;
        }
        const double received = view.has_loans() ? repaid : proceeds;
        const bool open = held_.open(a);
        const double worth = open ? equity(held_, a, mark_.data()) : held_.money(a), fee = ledger_.fee(traded, worth);
        if (fee != 0.0) held_.receive(a, -fee);
        if (open) {
            ledger_.charge(fee);
            ledger_.value += received - fee;
            lookout_.hang(held_, a, mark_.data(), standing(held_, a, mark_.data()));
            return;
        }
        if (view.has_banks()) sold_out_.push_back(a);
        const std::size_t group = group_of(a);
        ++group_closed_[group];
        ledger_.value -= money_before;
        if (worth < 0.0) {
            ledger_.lost(-worth);
            group_shortfall_[group] -= worth;
        } else {
            ledger_.gained(worth, fee);
        }
    }

    // Whether what a failing account closes of a market is traded there.
    bool trades(std::size_t a, std::int32_t market) {
        return job_->confined < 0 || market == job_->confined || origin(a) != job_->confined;
    }
    // Where the largest loss of an account stood when it first failed.
    std::int32_t origin(std::size_t a) {
        const AccountsView& view = job_->accounts;
        const auto [found, first] = origins_.try_emplace(a, 0);
        if (first) {
            std::size_t most = view.begin(a);
            for (std::size_t p = most; p < view.end(a); ++p) {
                if (unrealised_loss(view, p, mark_.data()) > unrealised_loss(view, most, mark_.data())) most = p;
            }
            found->second = view.market[most];
        }
        return found->second;
    }

    const AccountJob* job_;
    Holdings held_;
    Lookout lookout_;
    Ledger ledger_;
    std::vector<double> mark_;
    std::int64_t rounds_ = 0;
    double liquidator_profit_ = 0.0, liquidator_cash_ = 0.0;
    std::vector<std::int64_t> group_closed_, group_defaulted_;
    std::vector<double> group_shortfall_;
    std::unordered_map<std::size_t, std::int32_t> origins_;
    std::vector<std::int32_t> due_;
    std::vector<std::size_t> failing_;
    std::vector<std::size_t> sold_out_;  // banks without positions, to be looked at once more
    std::vector<double> shares_;
    std::vector<double> planned_;  // the shares of all that are failing
    std::vector<double> fill_;
};

}  // namespace FLUSHPOINT_ARCH

// One cascade. Writes which share is open of each position of accounts over several markets, and which banks defaulted.
void cascade(const AccountJob& job, const AccountScenarios& scenario, const AccountColumns& out,
             std::vector<AccountWave>& waves, double* left, bool* defaulted, const Progress& progress);

// Each scenario's cascade.
void stress(const AccountJob& job, const AccountScenarios& scenarios, const AccountColumns& out, int threads,
            const Progress& progress);

// Writes the quantity of each market, sales less purchases, that is closed of what is crossed at these marks.
void forced(const AccountJob& job, const double* marks, double* quantity);

// Writes whether each account over several markets fails at these prices.
void failing(const AccountsView& accounts, const double* prices, bool* out);

}  // namespace flushpoint
