#include "flushpoint/deleveraging.hpp"

#include <algorithm>
#include <vector>

#include "flushpoint/math.hpp"

namespace flushpoint {

namespace {

// A candidate in profit, and by what it is ranked: the highest first.
struct Ranked {
    double key;
    std::size_t at;
};

struct Rules {
    AdlRule rule;
    double price;
    double s;  // +1 where the winners are longs

    double profit(const Candidate& one) const { return flushpoint::profit(one, price, s < 0.0); }
    // Equity / notional: the reciprocal of effective leverage, 0 where no equity is left.
    double margin_ratio(const Candidate& one) const { return std::max(s * (price - one.bankruptcy_price) / price, 0.0); }

    double key(const Candidate& one) const {
        switch (rule) {
            case AdlRule::queue: return profit(one) / one.entry_price / margin_ratio(one);
            case AdlRule::queue_margin_ratio: {
                const double wallet = s * (one.entry_price - one.bankruptcy_price) * one.quantity;
                // Of a position that can never trigger nothing is asked.
                const double asked = one.trigger > 0.0 && one.trigger < math::infinity
                                         ? std::max(s * (one.trigger - one.bankruptcy_price) / one.trigger, 0.0)
                                         : 0.0;
                return profit(one) * one.quantity / std::max(1.0, wallet) * (asked / margin_ratio(one));
            }
            case AdlRule::queue_price_ratio:
                return (s > 0.0 ? price / one.entry_price : one.entry_price / price) / margin_ratio(one);
            case AdlRule::pro_rata_profit: return profit(one);
            case AdlRule::water_filling: return -margin_ratio(one);
            default: return 0.0;
        }
    }
};

}  // namespace

double deleverage(AdlRule rule, double price, bool shorts, double needed, std::span<const Candidate> candidates,
                  std::span<double> closed) {
    const Rules rules{rule, price, shorts ? -1.0 : 1.0};
    std::fill(closed.begin(), closed.end(), 0.0);
    if (rule == AdlRule::none || rule == AdlRule::socialised) return 0.0;
    std::vector<Ranked> winners;
    double held = 0.0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const Candidate& one = candidates[i];
        if (!(rules.profit(one) > 0.0) || !(one.quantity > 0.0)) continue;
        const double key = rules.key(one);
        winners.push_back({key == key ? key : math::infinity, i});  // nothing asked of no equity: 0 / 0
        held += one.quantity;
    }
    if (held <= needed) {
        for (const Ranked& one : winners) closed[one.at] = candidates[one.at].quantity;
        return held;
    }
    const auto earlier = [&](const Ranked& a, const Ranked& b) {
        return a.key == b.key ? candidates[a.at].place < candidates[b.at].place : a.key > b.key;
    };
    const auto quantity = [&](const Ranked& one) { return candidates[one.at].quantity; };
    const auto later = [&](const Ranked& a, const Ranked& b) { return earlier(b, a); };

    if (rule == AdlRule::pro_rata) {
        const double share = needed / held;
        for (const Ranked& one : winners) closed[one.at] = quantity(one) * share;
    } else if (rule == AdlRule::pro_rata_profit || rule == AdlRule::water_filling) {
        // Highest first, each is closed to a share min(1, c key) or max(0, 1 + key / level): those before a certain one
        // to the full, or those after it not at all; the rest follows from the sums.
        std::sort(winners.begin(), winners.end(), earlier);
        if (rule == AdlRule::pro_rata_profit) {
            double profit = 0.0, left = needed;
            for (const Ranked& one : winners) profit += quantity(one) * one.key;
            std::size_t full = 0;
            while (full < winners.size() && winners[full].key * left >= profit) {
                profit -= quantity(winners[full]) * winners[full].key;
                left -= quantity(winners[full]);
                closed[winners[full].at] = quantity(winners[full]);
                ++full;
            }
            for (std::size_t i = full; i < winners.size(); ++i) {
                closed[winners[i].at] = quantity(winners[i]) * std::min(1.0, winners[i].key * left / profit);
            }
        } else {
            double sum = 0.0, equity = 0.0;  // of those whose leverage is above the level; the first `above`
            std::size_t above = 0;
            double level = 0.0;  // equity / notional below which there is something to close
            while (above < winners.size()) {
                sum += quantity(winners[above]);
                equity += quantity(winners[above]) * -winners[above].key;
                ++above;
                // lambda = (sum - needed) / equity is the largest leverage left; the next one's stays if it is below.
                if (sum <= needed) continue;
                level = equity / (sum - needed);
                if (above == winners.size() || -winners[above].key >= level) break;
            }
            for (std::size_t i = 0; i < above; ++i) {
                const double left = level > 0.0 ? -winners[i].key / level : 0.0;
                closed[winners[i].at] = quantity(winners[i]) * std::max(0.0, 1.0 - left);
            }
            if (equity == 0.0) {  // none of them has equity: no leverage to even out
                double rest = needed;
                for (std::size_t i = 0; i < above; ++i) {
                    closed[winners[i].at] = std::min(rest, quantity(winners[i]));
                    rest -= closed[winners[i].at];
                }
            }
        }
    } else {
        std::make_heap(winners.begin(), winners.end(), later);
        double rest = needed;
        while (rest > 0.0 && !winners.empty()) {
            std::pop_heap(winners.begin(), winners.end(), later);
            const Ranked one = winners.back();
            winners.pop_back();
            closed[one.at] = std::min(rest, quantity(one));
            rest -= closed[one.at];
        }
    }
    return needed;
}

}  // namespace flushpoint
