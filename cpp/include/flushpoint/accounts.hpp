// Accounts whose positions in several markets share margin: when they fail, and what they close then. Each rule stands
// here once.
//
// With q the signed quantity of a position, E its entry price, P the mark of its market and C the account's cash, equity
// is C + sum q (P - E), maintenance the sum over positions of m |q| P - d with the rate and deduction of the tier that
// holds for |q| P, and the account fails where equity has fallen to maintenance. A bank fails as banks.hpp says; a
// loan is an account whose debt is -C where collateral cost nothing, and fails where sum (1 - m) q P, the sum of what each
// market lets be borrowed, has fallen to the debt.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/banks.hpp"
#include "flushpoint/loans.hpp"
#include "flushpoint/margin.hpp"
#include "flushpoint/market.hpp"
#include "flushpoint/math.hpp"

namespace flushpoint {

enum class AccountClose : int { all, largest_loss, pro_rata, delever, repay };

// The positions of account a are [first[a], first[a + 1]), each in another market.
struct AccountsView {
    const std::int64_t* first;
    const std::int32_t* market;
    const double* quantity;     // signed
    const double* cost;         // quantity x entry price
    const double* money;        // cash less all cost: what equity is where prices are 0
    const std::int32_t* group;  // of each account; null where there are none
    std::size_t count;
    const TierView* tiers;  // of each market
    AccountClose close;
    double target;  // equity / maintenance after closing pro rata
    BanksView banks;
    LoanRule loans;

    bool has_banks() const { return close == AccountClose::delever; }
    bool has_loans() const { return close == AccountClose::repay; }
    // What is traded of what is closed: a liquidator may keep some.
    double brought_to_market(double closed) const { return has_loans() ? loans.sells * closed : closed; }
    std::size_t begin(std::size_t a) const { return static_cast<std::size_t>(first[a]); }
    std::size_t end(std::size_t a) const { return static_cast<std::size_t>(first[a + 1]); }
    std::size_t positions() const { return static_cast<std::size_t>(first[count]); }
};

inline double size_of(double quantity) { return quantity < 0.0 ? -quantity : quantity; }

// What the accounts hold in the course of one path or scenario: what they had at the start, but for those that have closed
// something.
class Holdings {
public:
    explicit Holdings(const AccountsView& view) : view_(&view), changed_at_(view.count, unchanged) { open_banks(); }

    const AccountsView& view() const { return *view_; }
    Bank& bank(std::size_t a) { return banks_[a]; }
    const Bank& bank(std::size_t a) const { return banks_[a]; }
    // Of position p of account a, as below; asked of every position that is looked at, which is where time goes.
    [[gnu::always_inline]] double quantity(std::size_t a, std::size_t p) const { return left(a, p) * view_->quantity[p]; }
    [[gnu::always_inline]] double left(std::size_t a, std::size_t p) const {
        return changed_at_[a] == unchanged ? 1.0 : changed_[changed_at_[a] + 1 + p - view_->begin(a)];
    }
    double money(std::size_t a) const {
        return changed_at_[a] == unchanged ? view_->money[a] : changed_[changed_at_[a]];
    }
    bool open(std::size_t a) const {
        for (std::size_t p = view_->begin(a); p < view_->end(a); ++p) {
            if (left(a, p) > 0.0) return true;
        }
        return false;
    }
    // A share of a position is closed, which has brought in so much (a purchase: less than 0).
    void close(std::size_t a, std::size_t p, double share, double proceeds) {
        double* own = change(a);
        double& left = own[1 + p - view_->begin(a)];
        left = share == 1.0 ? 0.0 : left * (1.0 - share);
        own[0] = math::added(own[0], proceeds);
        if (view_->has_banks()) banks_[a].cash += proceeds;
    }
    void receive(std::size_t a, double money) {
        change(a)[0] += money;
        if (view_->has_banks()) banks_[a].cash += money;
    }
    // Back to what was held at the start.
    void reset() {
        for (const std::size_t a : touched_) changed_at_[a] = unchanged;
        touched_.clear();
        changed_.clear();
        open_banks();
    }

private:
    static constexpr std::uint32_t unchanged = 0xffffffff;

    void open_banks() {
        banks_.clear();
        for (std::size_t a = 0; view_->has_banks() && a < view_->count; ++a) {
            banks_.push_back({view_->banks.cash[a], view_->banks.loan[a]});
        }
    }

    // Money and what is left of each position of an account.
    double* change(std::size_t a) {
        if (changed_at_[a] == unchanged) {
            changed_at_[a] = static_cast<std::uint32_t>(changed_.size());
            changed_.push_back(view_->money[a]);
            changed_.resize(changed_.size() + view_->end(a) - view_->begin(a), 1.0);
            touched_.push_back(a);
        }
        return changed_.data() + changed_at_[a];
    }

    const AccountsView* view_;
    std::vector<std::uint32_t> changed_at_;
    std::vector<double> changed_;
    std::vector<std::size_t> touched_;
    std::vector<Bank> banks_;
};

inline double value(const Holdings& held, std::size_t a, const double* mark) {
    double sum = 0.0;
    for (std::size_t p = held.view().begin(a); p < held.view().end(a); ++p) {
        const double q = held.quantity(a, p);
        if (q != 0.0) sum += q * mark[held.view().market[p]];
    }
    return sum;
}

// Equity less maintenance, and the sum of all notionals: what rounding is measured by.
struct Standing {
    double slack;
    double gross;

    bool fails() const { return !(slack > tie * gross || slack == math::infinity); }
};

// Of an account at these marks; of one that has just closed, at these marks, the positions that `closed(p)` names.
template <class Closed>
inline Standing standing(const Holdings& held, std::size_t a, const double* mark, Closed&& closed) {
    const AccountsView& view = held.view();
    Standing out{held.money(a), 0.0};
    for (std::size_t p = view.begin(a); p < view.end(a); ++p) {
        const double q = held.quantity(a, p), price = mark[view.market[p]];
        if (q == 0.0) continue;
        if (closed(p)) {
            out.slack += q * price;
            continue;
        }
        const TierView& tiers = view.tiers[view.market[p]];
        const double notional = size_of(q) * price;
        const std::size_t k = tiers.count == 1 ? 0 : tier_of(tiers, notional);
        // As one line in the price, so that an infinite one leaves a long's part infinite.
        out.slack += (q - tiers.rate[k] * size_of(q)) * price + tiers.deduction[k];
        out.gross += notional;
    }
    return out;
}
// A bank's, with the least equity that keeps it from acting for maintenance, so that it fails where `below` says.
inline Standing standing_of_bank(const Holdings& held, std::size_t a, const double* mark) {
    const BanksView& banks = held.view().banks;
    const double in_markets = value(held, a, mark), rest = held.bank(a).cash + banks.illiquid[a];
    const double share = banks.threshold[a] - 2.0 * tie;
    return {held.money(a) - share * rest + (1.0 - share) * in_markets, rest + in_markets};
}
inline Standing standing(const Holdings& held, std::size_t a, const double* mark) {
    if (held.view().has_banks()) return standing_of_bank(held, a, mark);
    return standing(held, a, mark, [](std::size_t) { return false; });
}

inline double equity(const Holdings& held, std::size_t a, const double* mark) {
    return math::added(0.0, standing(held, a, mark, [](std::size_t) { return true; }).slack);
}

// Equity / sum of notionals at these marks: the reciprocal of effective leverage.
inline double margin_ratio(const Holdings& held, std::size_t a, const double* mark) {
    return equity(held, a, mark) / standing(held, a, mark).gross;
}
// Where a position's part of its account's equity, in proportion to its notional, is used up: all closed at these prices
// leave nothing. Below 0 where an account has lost more than all that it holds is worth.
inline double bankruptcy_price(double mark, double quantity, double margin_ratio) {
    return mark * (quantity > 0.0 ? 1.0 - margin_ratio : 1.0 + margin_ratio);
}

// The most that a unit by which the price of a position's market moves against it costs of equity less maintenance.
inline double loss_of_a_unit(const AccountsView& view, std::size_t a, std::size_t p, double q) {
    if (view.has_banks()) return q * (1.0 - view.banks.threshold[a]);
    const TierView& tiers = view.tiers[view.market[p]];
    return q > 0.0 ? q * (1.0 - tiers.rate[0]) : -q * (1.0 + tiers.rate[tiers.count - 1]);
}

// Whether a bank has defaulted, at these marks or before.
inline bool in_default(Holdings& held, std::size_t a, const double* mark) {
    const BanksView& banks = held.view().banks;
    Bank& bank = held.bank(a);
    const double in_markets = value(held, a, mark);
    bank.defaulted |= below(held.money(a) + in_markets, bank.cash + banks.illiquid[a] + in_markets, banks.floor[a]);
    return bank.defaulted;
}

// What share of its positions a bank that acts sells, once it has paid loans.
inline double share_to_sell(Holdings& held, std::size_t a, const double* mark) {
    if (in_default(held, a, mark)) return 1.0;
    Bank& bank = held.bank(a);
    const BanksView& banks = held.view().banks;
    const double in_markets = value(held, a, mark), assets = bank.cash + banks.illiquid[a] + in_markets;
    const double rest = pay_down(bank, held.money(a) + in_markets, assets, banks.target[a]);
    return in_markets > 0.0 ? std::min(rest, in_markets) / in_markets : 0.0;
}

// Of what was held at the start: less is neither closed nor left, as at venues.
inline constexpr double least_share = 0.01;

// What a liquidator repays of the debt of a failing account at these marks, and takes.
inline Repayment repayment(const Holdings& held, std::size_t a, const double* mark) {
    const LoanRule& rule = held.view().loans;
    const double debt = -held.money(a), collateral = value(held, a, mark);
    const double health = (standing(held, a, mark).slack + debt) / debt;
    const bool little = held.left(a, held.view().begin(a)) < least_share;
    return repayment(rule, debt, collateral, little || repaid_whole(rule, debt, collateral, health));
}

// The largest share of its positions that an account can keep at these marks with equity at `target` x maintenance, which
// counts the tie twice so that nothing that ends there fails, even where the target is 1.
// Maintenance is convex in the share and linear between tiers: Newton's steps from above end on the line that holds.
inline double share_to_keep(const Holdings& held, std::size_t a, const double* mark, double equity) {
    const AccountsView& view = held.view();
    for (double share = 1.0;;) {
        double rate = 0.0, deduction = 0.0;
        for (std::size_t p = view.begin(a); p < view.end(a); ++p) {
            const TierView& tiers = view.tiers[view.market[p]];
            const double notional = size_of(held.quantity(a, p)) * mark[view.market[p]];
            const std::size_t k = tier_of(tiers, share * notional);
            rate += (tiers.rate[k] + 2.0 * tie) * notional;
            deduction += tiers.deduction[k];
        }
        const double next = (equity / view.target + deduction) / rate;
        if (!(next < share)) return share;
        share = next;
    }
}

// What an account has lost on a position as it was at the start.
inline double unrealised_loss(const AccountsView& view, std::size_t p, const double* mark) {
    return view.cost[p] - view.quantity[p] * mark[view.market[p]];
}

// Writes what share of each of its positions a failing account closes at these marks, where a bank first pays loans.
inline void closing_shares(Holdings& held, std::size_t a, const double* mark, std::vector<double>& shares) {
    const AccountsView& view = held.view();
    const std::size_t begin = view.begin(a), count = view.end(a) - begin;
    if (view.has_banks()) return shares.assign(count, share_to_sell(held, a, mark));
    if (view.has_loans()) return shares.assign(count, repayment(held, a, mark).share);
    const double worth = equity(held, a, mark);
    shares.assign(count, 1.0);
    if (view.close == AccountClose::all || !(worth > 0.0)) return;
    if (view.close == AccountClose::pro_rata) {
        double left = 0.0;  // of the position of which most is: one that was closed as a winner's lacks more
        for (std::size_t p = begin; p < view.end(a); ++p) left = std::max(left, held.left(a, p));
        const double kept = std::min(share_to_keep(held, a, mark, worth) * left, left - least_share);
        if (kept >= least_share) shares.assign(count, 1.0 - kept / left);
        return;
    }
    std::vector<std::size_t> order;
    for (std::size_t p = begin; p < view.end(a); ++p) {
        if (held.left(a, p) > 0.0) order.push_back(p);
    }
    const auto loss = [&](std::size_t p) { return held.left(a, p) * unrealised_loss(view, p, mark); };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t p, std::size_t q) { return loss(p) > loss(q); });
    shares.assign(count, 0.0);
    for (const std::size_t p : order) {
        shares[p - begin] = 1.0;
        if (!standing(held, a, mark, [&](std::size_t i) { return shares[i - begin] == 1.0; }).fails()) return;
    }
}

}  // namespace flushpoint
