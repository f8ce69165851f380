// A venue: what follows a trigger, and who pays. The rules of its waterfall stand here once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "flushpoint/deleveraging.hpp"
#include "flushpoint/margin.hpp"
#include "flushpoint/math.hpp"

namespace flushpoint {

enum class SurplusTo : int { fund, trader, venue };
enum class CloseRule : int { full, tier_step_down, fraction };

// Validated by the caller; fund finite and at least 0, 0 <= fee_rate < 1.
struct VenueData {
    double fund = 0.0;
    double fee_rate = 0.0;  // of what a close fetches or costs
    bool fee_to_fund = false;
    SurplusTo surplus_to = SurplusTo::trader;
    AdlRule adl = AdlRule::none;
    bool adl_at_mark = false;  // rather than at the loser's bankruptcy price
    CloseRule close = CloseRule::full;
    double fraction = math::not_a_number;  // of CloseRule::fraction; nan: as much as restores `target`
    double target = 1.0;                   // equity / maintenance after a close
    double whole_below = 0.0;              // notional of which a position is closed whole
    TierView tiers{nullptr, nullptr, nullptr, 0};
    double pacing = math::infinity;  // quantity a second
    double delay = 0.0;              // seconds
    double price_band = math::infinity;

    // Whether winners on the other side are closed where the fund cannot pay.
    bool closes_winners() const { return adl != AdlRule::none && adl != AdlRule::socialised; }
    bool waits() const { return pacing < math::infinity || delay > 0.0 || price_band < math::infinity; }
    bool closes_in_part() const {
        if (close == CloseRule::tier_step_down) return tiers.count > 1;
        return close == CloseRule::fraction && fraction != 1.0;
    }
    // Whether the venue changes what is traded, not only who pays.
    bool intervenes() const { return closes_winners() || closes_in_part() || waits(); }
};

// Where the money of forced closes went, in quote units.
struct Ledger {
    explicit Ledger(const VenueData& v) : venue(&v), fund(v.fund) {}

    const VenueData* venue;
    double fund;
    double proceeds = 0.0;   // of market trades: received less paid
    double shortfall = 0.0;  // before any fund, as surplus is
    double surplus = 0.0;
    double fund_paid = 0.0;
    double fund_received = 0.0;
    double fees = 0.0;
    double unpaid_loss = 0.0;
    double socialised_loss = 0.0;
    double to_traders = 0.0;  // what was left of their margin
    double kept = 0.0;        // of surplus, by the venue
    double adl_quantity = 0.0;
    std::int64_t adl_count = 0;  // positions of winners reduced
    double released = 0.0;       // equity that winners took out of what was closed
    double value = 0.0;          // by how much the sum of side x quantity x bankruptcy price over what is open fell
    double balance = 0.0;        // receipts less shortfalls, however large the fund
    double fund_needed = 0.0;    // the fund that would never have been overdrawn

    // Received in the market, less what is paid there.
    void traded(double money) { proceeds = math::added(proceeds, money); }
    // What the closing of a position, or of several alike, leaves of their margins; `fee` of it is charged.
    void gained(double gain, double fee) {
        surplus += gain;
        charge(fee);
        const double rest = after_fee(gain, fee);
        switch (venue->surplus_to) {
            case SurplusTo::fund: receive(rest); break;
            case SurplusTo::trader: to_traders += rest; break;
            case SurplusTo::venue: kept += rest; break;
        }
    }
    // The same of a stop order: what it leaves is its owner's, and nobody takes a fee.
    void gained_by_owner(double gain) {
        surplus += gain;
        to_traders += gain;
    }
    void charge(double fee) {
        if (fee == 0.0) return;
        fees += fee;
        if (venue->fee_to_fund) receive(fee);
    }
    // What closing lacks beyond their margins.
    void lost(double loss) {
        const double paid = std::min(fund, loss);
        shortfall += loss;
        fund = paid < fund ? fund - paid : 0.0;
        fund_paid += paid;
        // A loss without bound leaves as much unpaid.
        (venue->adl == AdlRule::socialised ? socialised_loss : unpaid_loss) += loss < math::infinity ? loss - paid : loss;
        balance = math::added(balance, -loss);
        fund_needed = std::max(fund_needed, -balance);
    }
    // What the conservation of money lacks, 0 but for rounding: traders, makers, counterparties outside the book, fund and
    // venue, less what nobody paid. Makers and counterparties cancel out against the positions' price moves.
    double imbalance() const {
        const double income = kept + (venue->fee_to_fund ? 0.0 : fees);
        return value - proceeds + to_traders + released - socialised_loss + (fund - venue->fund) + income - unpaid_loss;
    }
    // A fee takes no more than a close leaves.
    double fee(double money, double gain) const {
        if (!(gain > 0.0) || venue->fee_rate == 0.0) return 0.0;
        return std::min(venue->fee_rate * (money < 0.0 ? -money : money), gain);
    }
    // Of a gain without bound the fee leaves as much.
    static double after_fee(double gain, double fee) { return gain < math::infinity ? gain - fee : gain; }

private:
    void receive(double amount) {
        fund += amount;
        fund_received += amount;
        balance = math::added(balance, amount);
    }
};

}  // namespace flushpoint
