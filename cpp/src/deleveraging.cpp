#include "flushpoint/deleveraging.hpp"

#include <algorithm>
#include <vector>

#include "flushpoint/math.hpp"
#include "flushpoint/running_sum.hpp"

namespace flushpoint {

namespace {

// A candidate in profit, and by what it is ranked: the highest first.
struct Ranked {
    double key;
    double quantity;
    std::uint32_t at;    // among the candidates
    std::int32_t place;  // in input order, which settles ties

    bool before(const Ranked& other) const { return key == other.key ? place < other.place : key > other.key; }
};

// Closes whole positions, the first ranks first and the last in part, without sorting more than it must: the part before
// a pivot is closed if that is not too much, or else searched. Pivots are drawn, so that no order of the positions is slow.
template <class Close>
void close_first(std::vector<Ranked>& ranked, double needed, Close&& close) {
    std::size_t low = 0, high = ranked.size();
    std::uint64_t drawn = 0;
    while (high - low > 16) {
        drawn = drawn * 6364136223846793005u + 1442695040888963407u;
        std::swap(ranked[low + static_cast<std::size_t>(drawn >> 33) % (high - low)], ranked[high - 1]);
        const Ranked pivot = ranked[high - 1];
        std::size_t split = low;
        double sum = 0.0;
        for (std::size_t i = low; i + 1 < high; ++i) {
            if (!ranked[i].before(pivot)) continue;
            sum += ranked[i].quantity;
            std::swap(ranked[split++], ranked[i]);
        }
        if (sum >= needed) {
            high = split;
            continue;
        }
        std::swap(ranked[split], ranked[high - 1]);
        for (std::size_t i = low; i < split; ++i) close(ranked[i], ranked[i].quantity);
        needed -= sum;
        const double size = std::min(needed, pivot.quantity);
        close(pivot, size);
        needed -= size;
        low = split + 1;
    }
    std::sort(ranked.begin() + static_cast<std::ptrdiff_t>(low), ranked.begin() + static_cast<std::ptrdiff_t>(high),
              [](const Ranked& a, const Ranked& b) { return a.before(b); });
    for (std::size_t i = low; i < high && needed > 0.0; ++i) {
        const double size = std::min(needed, ranked[i].quantity);
        close(ranked[i], size);
        needed -= size;
    }
}

// Shares are rounded: whoever was closed most makes up for what their sum lacks or exceeds.
void make_up(std::span<const Ranked> winners, double needed, std::span<double> closed) {
    for (int round = 0; round < 4; ++round) {
        RunningSum sum;
        const Ranked* most = nullptr;
        for (const Ranked& one : winners) {
            sum.add(closed[one.at]);
            const bool room = round == 0 || closed[one.at] < one.quantity;
            if (room && (!most || closed[one.at] > closed[most->at])) most = &one;
        }
        const double lacks = needed - sum.value();
        if (lacks == 0.0 || !most) return;
        closed[most->at] = std::clamp(closed[most->at] + lacks, 0.0, most->quantity);
    }
}

struct Rules {
    AdlRule rule;
    double price;
    double s;  // +1 where the winners are longs

    double profit(const Candidate& one) const { return flushpoint::profit(one, price, s < 0.0); }
    // Equity / notional: the reciprocal of effective leverage, 0 where no equity is left.
    double margin_ratio(const Candidate& one) const { return std::max(s * (price - one.bankruptcy_price) / price, 0.0); }

    // Maintenance / notional; of a position that can never trigger nothing is asked.
    double asked(const Candidate& one) const {
        const bool triggers = one.trigger > 0.0 && one.trigger < math::infinity;
        return triggers ? std::max(s * (one.trigger - one.bankruptcy_price) / one.trigger, 0.0) : 0.0;
    }

    double key(const Candidate& one) const {
        switch (rule) {
            case AdlRule::queue: return profit(one) / one.entry_price / margin_ratio(one);
            case AdlRule::queue_margin_ratio: {
                const bool shares = one.wallet == one.wallet;
                const double wallet = shares ? one.wallet : s * (one.entry_price - one.bankruptcy_price) * one.quantity;
                return profit(one) * one.quantity / std::max(1.0, wallet) * ((shares ? one.asked : asked(one)) / margin_ratio(one));
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
    winners.reserve(candidates.size());
    double held = 0.0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const Candidate& one = candidates[i];
        if (!(rules.profit(one) > 0.0) || !(one.quantity > 0.0)) continue;
        const double key = rules.key(one);
        // Where nothing is asked of no equity, 0 / 0.
        winners.push_back({key == key ? key : math::infinity, one.quantity, static_cast<std::uint32_t>(i), one.place});
        held += one.quantity;
    }
    if (held <= needed) {
        for (const Ranked& one : winners) closed[one.at] = one.quantity;
        return held;
    }
    const auto sort = [&] {
        std::sort(winners.begin(), winners.end(), [](const Ranked& a, const Ranked& b) { return a.before(b); });
    };

    if (rule == AdlRule::pro_rata) {
        const double share = needed / held;
        for (const Ranked& one : winners) closed[one.at] = one.quantity * share;
    } else if (rule == AdlRule::pro_rata_profit || rule == AdlRule::water_filling) {
        // Highest first, each is closed to a share min(1, c key) or max(0, 1 + key / level): those before a certain one
        // to the full, or those after it not at all; the rest follows from the sums.
        sort();
        if (rule == AdlRule::pro_rata_profit) {
            std::vector<double> profit(winners.size() + 1);  // of each and those after it: sums from the least up
            for (std::size_t i = winners.size(); i-- > 0;) profit[i] = profit[i + 1] + winners[i].quantity * winners[i].key;
            double left = needed;
            std::size_t full = 0;
            while (left > 0.0 && full < winners.size() && winners[full].key * left >= profit[full]) {
                closed[winners[full].at] = winners[full].quantity;
                left -= winners[full].quantity;
                ++full;
            }
            for (std::size_t i = full; i < winners.size() && left > 0.0; ++i) {
                closed[winners[i].at] = winners[i].quantity * std::min(1.0, winners[i].key * left / profit[full]);
            }
        } else {
            double sum = 0.0, equity = 0.0;  // of those whose leverage is above the level; the first `above`
            std::size_t above = 0;
            double level = 0.0;  // equity / notional below which there is something to close
            while (above < winners.size()) {
                sum += winners[above].quantity;
                equity += winners[above].quantity * -winners[above].key;
                ++above;
                // lambda = (sum - needed) / equity is the largest leverage left; the next one's stays if it is below.
                if (sum <= needed) continue;
                level = equity / (sum - needed);
                if (above == winners.size() || -winners[above].key >= level) break;
            }
            for (std::size_t i = 0; i < above; ++i) {
                const double left = level > 0.0 ? -winners[i].key / level : 0.0;
                closed[winners[i].at] = winners[i].quantity * std::max(0.0, 1.0 - left);
            }
            if (equity == 0.0) {  // none of them has equity: no leverage to even out
                double rest = needed;
                for (std::size_t i = 0; i < above; ++i) {
                    closed[winners[i].at] = std::min(rest, winners[i].quantity);
                    rest -= closed[winners[i].at];
                }
            }
        }
    } else {
        close_first(winners, needed, [&](const Ranked& one, double size) { closed[one.at] = size; });
        return needed;
    }
    make_up(winners, needed, closed);
    return needed;
}

}  // namespace flushpoint
