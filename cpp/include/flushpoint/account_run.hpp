// Cascades through several markets: positions that stand for themselves, in the book of each market, and accounts whose
// positions in several share margin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "flushpoint/account_winners.hpp"
#include "flushpoint/accounts.hpp"
#include "flushpoint/cascade.hpp"
#include "flushpoint/ledger_columns.hpp"
#include "flushpoint/lookout.hpp"
#include "flushpoint/market_run.hpp"
#include "flushpoint/pulse.hpp"
#include "flushpoint/settlement.hpp"
#include "flushpoint/stress.hpp"
#include "flushpoint/waterfall.hpp"
#include "flushpoint/winners.hpp"

namespace flushpoint {

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
    std::int64_t* own_longs;  // crossed, in firing order
    std::int64_t* own_shorts;
    std::int64_t* spared_longs;  // of these, had been closed whole as winners
    std::int64_t* spared_shorts;
    double* adl_quantity;
    std::int64_t* adl_count;
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
    std::int64_t* group_spared;  // of the books' positions that had been closed as winners, isolated ones and the rest
    std::int64_t* group_spared_isolated;
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

// Several markets, the positions in them, and who pays, in one scenario or path. A round closes all that is crossed at
// the same prices: in each market its longs in firing order, its shorts, then accounts over several markets in their
// order. Purchases and sales of a round meet in each market the prices that the others' earlier rounds have left.
template <class Own>
class AccountRun {
public:
    using Run = MarketRun<Own>;

    // It can run once it has begun.
    AccountRun(const AccountJob& job, const Thresholds& thresholds)
        : job_(&job), held_(job.accounts), lookout_(job.accounts, thresholds), ledger_(job.venue), mark_(job.markets.count()) {
        if constexpr (Own::closes_winners) winners_.emplace(job.accounts, job.markets.count());
    }
    AccountRun(const AccountRun&) = delete;

    // At, or back to, the start; until it begins again it asks this pulse.
    void begin(Pulse& pulse) {
        markets.clear();
        for (const MarketBook& book : job_->markets.books) {
            mark_[markets.size()] = book.market.price;
            markets.emplace_back(book, job_->venue, pulse);
        }
        held_.reset();
        lookout_.reset();
        ledger_ = Ledger(job_->venue);
        rounds_ = 0;
        liquidator_profit_ = liquidator_cash_ = 0.0;
        origins_.clear();
        closed_before_.clear();
        group_closed_.assign(job_->groups, 0);
        group_defaulted_.assign(job_->groups, 0);
        sold_out_.clear();
        for (std::size_t a = 0; job_->accounts.has_banks() && a < job_->accounts.count; ++a) {
            if (!held_.open(a)) sold_out_.push_back(a);
        }
        look_at_sold_out();
        group_shortfall_.assign(job_->groups, 0.0);
    }

    // Works out every market's displacement.
    void update() {
        const double* cross = job_->markets.cross_impact;
        for (std::size_t m = 0; m < markets.size(); ++m) {
            Run& one = markets[m];
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
        for (Run& one : markets) one.recovered = one.trading.state.recovering - one.closed();
        for (; take(most > 0); --most) {
            settle(pulse);
            ++rounds_;
            for (Run& one : markets) {
                if (one.wave.count == 0) continue;
                ++one.trading.waves;
                const double closed = one.closed();
                const double recovering = refill == 0.0 ? one.recovered + closed : one.now.recovering;
                one.trading.state = {one.trading.outside + closed, recovering};
                on_wave(one.wave);
            }
            update();
            for (Run& one : markets) {
                // Where nothing was traded only others can have moved the price.
                if (one.wave.count > 0 || job_->markets.cross_impact) extremes(one.trading);
            }
            if (refill == 0.0) continue;
            for (Run& one : markets) {
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
            const Run& one = markets[m];
            const std::size_t at = row * markets.size() + m;
            put(out.waves, at, one.trading.waves);
            put(out.own_longs, at, static_cast<std::int64_t>(one.longs.crossed()));
            put(out.own_shorts, at, static_cast<std::int64_t>(one.shorts.crossed()));
            put(out.shared_longs, at, one.count[0]);
            put(out.shared_shorts, at, one.count[1]);
            put(out.long_quantity, at, one.longs.closed_quantity() + (one.quantity[0] + one.matched[0]));
            put(out.short_quantity, at, one.shorts.closed_quantity() + (one.quantity[1] + one.matched[1]));
            put(out.adl_quantity, at, one.adl_quantity);
            put(out.adl_count, at, one.adl_count);
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
        if constexpr (Own::closes_winners) write_winners(out, row);
    }

    std::vector<Run> markets;

private:
    // What is crossed now; whether any of it trades. Where none may, banks still default.
    bool take(bool may_trade) {
        bool any = false;
        for (std::size_t m = 0; m < markets.size(); ++m) {
            Run& one = markets[m];
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
        look_at_sold_out();
    }
    // Banks that hold nothing hang on no price: once is enough.
    void look_at_sold_out() {
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
            Run& one = markets[m];
            one.before = one.trading.state;
            Wave wave;
            if constexpr (Own::closes_winners) {
                wave = close_own(one, m);
            } else {
                wave = sell_own(one);
            }
            one.now = one.before.after(one.longs.quantity(one.sold)).after(-one.shorts.quantity(one.bought));
            one.wave = {rounds_, static_cast<std::int64_t>(m), wave.price, wave.quantity, wave.count, wave.notional};
        }
        if (job_->markets.midpoint) find_fills();
        if constexpr (Own::closes_winners) any_winner_.assign(2 * markets.size(), unknown);
        rest_.clear();
        const double* shares = planned_.data();
        for (const std::size_t a : failing_) {
            bool sold = true;
            if constexpr (Own::closes_winners) sold = !defaults(a, shares);
            if (sold) {
                close(a, shares);
            } else {
                rest_.push_back(a);
            }
            shares += job_->accounts.end(a) - job_->accounts.begin(a);
        }
        if constexpr (Own::closes_winners) {
            if (!rest_.empty()) close_against_winners();
            look_after_winners();
        }
        pulse.spent(100 * markets.size() + 10 * failing_.size());
    }

    // The one price of each market's trades in this round.
    void find_fills() {
        const auto price = [](const Run& one) { return one.start * math::exp(-one.trading.displacement); };
        fill_.clear();
        for (const Run& one : markets) fill_.push_back(0.5 * price(one));
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
        for (Run& one : markets) one.trading.state = one.before;
        update();
    }
    // Money for what an account sells in a market.
    double fetch(std::size_t m, double quantity) const {
        if (job_->markets.midpoint) return quantity * fill_[m];
        const Run& one = markets[m];
        return one.as_market([&](const auto& market) { return market.proceeds(one.from(), one.now, quantity); });
    }

    // Sells what is crossed of a market's own positions.
    Wave sell_own(const Run& one) {
        const VenueBookView& positions = one.book->positions;
        const Wave wave = wave_of(positions.book, one.start, one.trading, one.sold, one.bought);
        if (wave.count == 0) return wave;
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
        return wave;
    }

    // Sells so much of a position of an account in its market, for the money that this fetches.
    double sell(std::size_t m, double quantity) {
        Run& one = markets[m];
        const double money = fetch(m, quantity);
        one.now = one.now.after(quantity);
        one.quantity[quantity < 0.0] += size_of(quantity);
        return money;
    }
    // So much of a position of an account is closed by force.
    void count(std::size_t a, std::size_t p, double quantity) {
        const auto m = static_cast<std::size_t>(job_->accounts.market[p]);
        Run& one = markets[m];
        const int side = quantity < 0.0;
        if constexpr (Own::closes_winners) {
            one.count[side] += closed_before_.insert(p).second;
        } else {
            one.count[side] += held_.left(a, p) == 1.0;
        }
        one.notional[side] += size_of(quantity) * mark_[m];
        one.wave.quantity += size_of(quantity);
        one.wave.count += 1;
        one.wave.notional += size_of(quantity) * mark_[m];
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
            const double order = view.brought_to_market(quantity), money = sell(m, order);
            count(a, p, order);
            held_.close(a, p, share, view.has_loans() ? 0.0 : money);
            traded += size_of(money);
            proceeds = math::added(proceeds, money);
            kept += (quantity - order) * mark_[m];
        }
        ledger_.proceeds = math::added(ledger_.proceeds, proceeds);
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
        close_out(a, money_before, worth, fee);
    }
    // All that an account had is closed by force, which leaves so much of it.
    void close_out(std::size_t a, double money_before, double worth, double fee) {
        ++group_closed_[group_of(a)];
        ledger_.value -= money_before;
        if (worth < 0.0) {
            lack(a, -worth);
        } else {
            ledger_.gained(worth, fee);
        }
    }
    void lack(std::size_t a, double loss) {
        ledger_.lost(loss);
        group_shortfall_[group_of(a)] += loss;
    }

    // Accounts over several markets, as winners in one.
    struct Others {
        AccountRun* run;
        std::size_t m;

        void find(bool shorts, std::int32_t first, std::vector<Candidate>& winners) const {
            run->markets[m].held->book.pulse.spent(run->winners_->count(m) / 4);
            run->winners_->find(run->held_, m, shorts, run->mark_.data(), run->failing_, first, winners);
        }
        void close(std::int32_t place, double size, double price) const {
            const auto [a, p] = (*run->winners_)(m, place);
            const double q = run->held_.quantity(a, p), money = q > 0.0 ? size * price : -size * price;
            run->held_.close(a, p, size == size_of(q) ? 1.0 : size / size_of(q), money);
            run->ledger_.value += money;
            run->reduced_.push_back(a);
        }
    };
    Winners<Others> winners_in(std::size_t m) { return {markets[m].held->book, mark_[m], 1.0, ledger_, Others{this, m}}; }

    // The ledger counts what is closed against winners in one market at a time.
    template <class Close>
    void in_market(Run& one, Close&& close_some) {
        ledger_.adl_quantity = one.adl_quantity;
        ledger_.adl_count = one.adl_count;
        close_some();
        one.adl_quantity = ledger_.adl_quantity;
        one.adl_count = ledger_.adl_count;
    }

    // Closes what is crossed of a market's own positions.
    Wave close_own(Run& one, std::size_t m) {
        if (one.sold.size() + one.bought.size() > 0) {
            in_market(one, [&] {
                one.as_market([&]<class Impact>(const Market<Impact>& market) {
                    Settlement<Impact, Others>(market, one.from(), mark_[m], one.trading, one.held->book, ledger_, {this, m})
                        .settle(one.sold, one.bought);
                });
            });
        }
        return {one.start * math::exp(-one.trading.displacement), one.longs.wave_quantity() + one.shorts.wave_quantity(),
                one.sold.size() + one.bought.size(), one.longs.wave_notional() + one.shorts.wave_notional()};
    }

    // Whether a failing account is closed against winners: it closes everything, and the fund cannot pay what a sale now would
    // lack, or what one before it in the round did.
    bool defaults(std::size_t a, const double* shares) {
        const AccountsView& view = job_->accounts;
        for (std::size_t p = view.begin(a); p < view.end(a); ++p) {
            if (held_.left(a, p) > 0.0 && shares[p - view.begin(a)] != 1.0) return false;
        }
        const double ratio = margin_ratio(held_, a, mark_.data());
        if (!(size_of(ratio) < math::infinity)) return false;
        if (!rest_.empty()) return true;
        double worth = held_.money(a);
        bool winners = false;
        for (std::size_t p = view.begin(a); p < view.end(a); ++p) {
            const double q = held_.quantity(a, p);
            if (q == 0.0) continue;
            worth = math::added(worth, fetch(static_cast<std::size_t>(view.market[p]), q));
        }
        if (!(-worth > ledger_.fund)) return false;
        for (std::size_t p = view.begin(a); p < view.end(a) && !winners; ++p) {
            const double q = held_.quantity(a, p);
            if (q != 0.0) winners = any_winner(static_cast<std::size_t>(view.market[p]), q > 0.0);
        }
        return winners;
    }
    bool any_winner(std::size_t m, bool shorts) {
        std::int8_t& found = any_winner_[2 * m + shorts];
        if (found == unknown) {
            found = winners_in(m).find(shorts ? markets[m].shorts : markets[m].longs);
            markets[m].held->book.winners.clear();
        }
        return found;
    }

    // A position of the rest, closed against winners at a price or sold.
    struct Loser {
        std::size_t at;  // among the rest
        std::size_t position;
        double size;
        double bankruptcy;
    };

    // Closes the rest of the round's accounts: in each market longs against shorts in profit, then shorts against such longs, at
    // their bankruptcy prices or the mark; what nobody is left for is sold.
    void close_against_winners() {
        const AccountsView& view = job_->accounts;
        losers_.resize(2 * markets.size());
        for (auto& side : losers_) side.clear();
        worth_.assign(rest_.size(), 0.0);
        std::vector<double> ratio, money_before;
        for (std::size_t i = 0; i < rest_.size(); ++i) {
            const std::size_t a = rest_[i];
            ratio.push_back(margin_ratio(held_, a, mark_.data()));
            money_before.push_back(held_.money(a));
            for (std::size_t p = view.begin(a); p < view.end(a); ++p) {
                const double q = held_.quantity(a, p);
                if (q == 0.0) continue;
                const auto m = static_cast<std::size_t>(view.market[p]);
                count(a, p, q);
                losers_[2 * m + (q < 0.0)].push_back({i, p, size_of(q), bankruptcy_price(mark_[m], q, ratio[i])});
            }
        }
        for (std::size_t m = 0; m < markets.size(); ++m) {
            in_market(markets[m], [&] {
                match(m, false);
                match(m, true);
            });
        }
        for (std::size_t i = 0; i < rest_.size(); ++i) {
            const std::size_t a = rest_[i];
            double traded = 0.0, proceeds = 0.0;
            for (std::size_t p = view.begin(a); p < view.end(a); ++p) {
                const double q = held_.quantity(a, p);
                if (q == 0.0) continue;
                const auto m = static_cast<std::size_t>(view.market[p]);
                const double money = sell(m, q);
                held_.close(a, p, 1.0, money);
                traded += size_of(money);
                proceeds = math::added(proceeds, money);
                worth_[i] = math::added(worth_[i], money - q * bankruptcy_price(mark_[m], q, ratio[i]));
            }
            ledger_.proceeds = math::added(ledger_.proceeds, proceeds);
            close_out(a, money_before[i], worth_[i], ledger_.fee(traded, worth_[i]));
        }
    }
    // Closes the rest of one side of a market, in their order, as far as there are winners.
    void match(std::size_t m, bool shorts) {
        Run& one = markets[m];
        VenueBook::Side& other = shorts ? one.longs : one.shorts;
        Winners<Others> winners = winners_in(m);
        double needed = 0.0;
        for (const Loser& loser : losers_[2 * m + shorts]) needed += loser.size;
        if (needed == 0.0 || !winners.find(other)) return;
        const double found = winners.choose(other, needed), s = shorts ? -1.0 : 1.0;
        double left = found, money = 0.0;
        for (const Loser& loser : losers_[2 * m + shorts]) {
            const double size = found == needed ? loser.size : std::min(loser.size, left);
            if (size == 0.0) break;
            const double price = job_->venue.adl_at_mark ? mark_[m] : std::max(loser.bankruptcy, 0.0);
            left -= size;
            money += size * price;
            held_.close(rest_[loser.at], loser.position, size == loser.size ? 1.0 : size / loser.size, s * size * price);
            worth_[loser.at] += s * size * (price - loser.bankruptcy);
            one.matched[shorts] += size;
        }
        winners.close(other, found, money / found);
    }

    // Accounts some of whose positions were closed as winners may fail at other prices than before. Where only a debt is left
    // of one, nobody pays it but the fund.
    void look_after_winners() {
        std::sort(reduced_.begin(), reduced_.end());
        reduced_.erase(std::unique(reduced_.begin(), reduced_.end()), reduced_.end());
        for (const std::size_t a : reduced_) {
            lookout_.forget(a);
            const double money = held_.money(a);
            if (held_.open(a)) {
                lookout_.hang(held_, a, mark_.data(), standing(held_, a, mark_.data()));
            } else if (money < 0.0) {
                held_.receive(a, -money);
                ledger_.value -= money;
                lack(a, -money);
            }
        }
        reduced_.clear();
    }

    void write_winners(const AccountColumns& out, std::size_t row) const {
        const std::size_t first = row * job_->groups;
        for (std::size_t g = 0; g < job_->groups; ++g) out.group_spared[first + g] = out.group_spared_isolated[first + g] = 0;
        for (std::size_t m = 0; m < markets.size(); ++m) {
            const Run& one = markets[m];
            const MarketBook& book = *one.book;
            const std::size_t at = row * markets.size() + m;
            const auto spared = [&](const VenueBook::Side& side, const std::int32_t* group, const bool* alone) {
                std::int64_t spared_here = 0;
                if (!group && one.adl_count == 0) return spared_here;
                for (std::size_t i = 0; i < side.crossed(); ++i) {
                    const std::size_t g = first + static_cast<std::size_t>(group ? group[i] : 0);
                    if (group) out.group_shortfall[g] += one.held->ledger.shortfall[side.columns().index[i]];
                    if (side.share_left(i) > 0.0) continue;
                    ++spared_here;
                    ++(alone[i] ? out.group_spared_isolated : out.group_spared)[g];
                }
                return spared_here;
            };
            out.spared_longs[at] = spared(one.longs, book.long_group, book.long_alone);
            out.spared_shorts[at] = spared(one.shorts, book.short_group, book.short_alone);
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
    // Where winners are closed: of the round, the accounts that are closed against them, what each is then worth, their
    // positions by market and side, and those some of whose positions were closed as winners.
    static constexpr std::int8_t unknown = -1;
    std::optional<AccountWinners> winners_;
    std::vector<std::int8_t> any_winner_;  // of each market's longs and shorts
    std::vector<std::size_t> rest_, reduced_;
    std::vector<double> worth_;
    std::vector<std::vector<Loser>> losers_;
    std::unordered_set<std::size_t> closed_before_;  // positions closed by force, perhaps in part
};

}  // namespace FLUSHPOINT_ARCH

// What is left after a cascade, of accounts over several markets the open share of each position and which are banks in
// default, and where winners are closed the share of each market's own longs, and then shorts, that was not closed as a
// winner's, in firing order.
struct AccountEnds {
    double* left;
    bool* defaulted;
    double* own_left;
};

// One cascade.
void cascade(const AccountJob& job, const AccountScenarios& scenario, const AccountColumns& out,
             std::vector<AccountWave>& waves, const AccountEnds& ends, const Progress& progress);

// Each scenario's cascade.
void stress(const AccountJob& job, const AccountScenarios& scenarios, const AccountColumns& out, int threads,
            const Progress& progress);

// Writes the quantity of each market, sales less purchases, that is closed of what is crossed at these marks.
void forced(const AccountJob& job, const double* marks, double* quantity);

// Writes whether each account over several markets fails at these prices.
void failing(const AccountsView& accounts, const double* prices, bool* out);

}  // namespace flushpoint
