// What one side's closes in a wave leave of margins, position by position in firing order, but added up in blocks of one
// fate.
#pragma once

#include <cstddef>

#include "flushpoint/cascade.hpp"
#include "flushpoint/venue.hpp"

namespace flushpoint {

// Bankruptcy prices of one side in firing order, and what tells the fate of a block of positions at a glance.
struct BankruptcyView {
    static constexpr std::size_t stride = 16;

    const double* price;
    const double* value_sum;  // of quantity * price over the positions before each that can trigger
    const double* ahead;      // the largest side * price of the positions from stride * i on
    const double* behind;     // the least side * price of those before stride * i
    double scale = 1.0;       // of all these prices
};

// How many entries `ahead` and `behind` have for so many positions that can trigger.
inline std::size_t strides(std::size_t count) { return count / BankruptcyView::stride + 2; }

// Writes value_sum (side.count + 1 entries), ahead and behind.
void look_ahead(const SideView& side, const double* bankruptcy, bool shorts, double* value_sum, double* ahead,
                double* behind);

inline namespace FLUSHPOINT_ARCH {

// Closes positions of one side in the market. Prices and money are signed by the side, so that longs and shorts read
// alike: a close fetches s F a unit, worse with every unit closed, and s B of it are owed.
template <class Impact>
class Waterfall {
public:
    // `before` is the market's state when the first position of `wave` is closed.
    Waterfall(const Market<Impact>& market, double start, State before, const SideView& side,
              const BankruptcyView& bankruptcy, bool shorts, Range wave, Ledger& ledger,
              bool stops = false)
        : market_(market), start_(start), before_(before), side_(side), bankruptcy_(bankruptcy),
          s_(shorts ? -1.0 : 1.0), wave_(wave), ledger_(ledger), stops_(stops) {}

    // Closes the wave. If it stops, it does so before the first position whose loss the fund cannot pay, and returns it;
    // otherwise the wave's end.
    std::size_t close() {
        if (wave_.size() == 0) return wave_.end;
        if (wave_.size() <= few) {
            if (!singly(wave_.begin, wave_.end)) return stopped_;
            return wave_.end;
        }
        return split(wave_.begin, wave_.end, fill(wave_.begin), fill(wave_.end)) && flush() ? wave_.end : stopped_;
    }

private:
    // After closing: more than the fee is left, less than the fee but something, or a loss.
    enum class Fate { ample, thin, loss, mixed };

    static constexpr std::size_t few = 16;  // positions that are closed one by one

    double quantity(std::size_t begin, std::size_t end) const {
        return s_ * (side_.quantity_sum[end] - side_.quantity_sum[begin]);
    }
    State state(std::size_t i) const { return before_.after(quantity(wave_.begin, i)); }
    // What one more unit would fetch once those before position i are closed.
    double fill(std::size_t i) const { return s_ * market_.unit_price(start_, state(i), s_ < 0.0); }
    // Less its fee.
    double net(double fill) const {
        const double rate = ledger_.venue->fee_rate;
        return rate == 0.0 ? fill : fill - rate * (fill < 0.0 ? -fill : fill);
    }

    Fate fate(std::size_t begin, std::size_t end, double first, double last) const {
        const double most = bankruptcy_.scale * bankruptcy_.ahead[begin / BankruptcyView::stride];
        const double least =
            bankruptcy_.scale * bankruptcy_.behind[(end + BankruptcyView::stride - 1) / BankruptcyView::stride];
        if (net(last) >= most) return Fate::ample;
        if (first < least) return Fate::loss;
        if (last >= most && net(first) < least) return Fate::thin;
        return Fate::mixed;
    }

    // Halves until each part has one fate; parts of one fate side by side are settled together.
    bool split(std::size_t begin, std::size_t end, double first, double last) {
        const Fate fate_here = fate(begin, end, first, last);
        if (fate_here == Fate::mixed) {
            if (end - begin <= few) return flush() && singly(begin, end);
            const std::size_t middle = begin + (end - begin) / 2;
            const double between = fill(middle);
            return split(begin, middle, first, between) && split(middle, end, between, last);
        }
        if (pending_.size() > 0 && pending_fate_ != fate_here && !flush()) return false;
        if (pending_.size() == 0) pending_ = {begin, begin};
        pending_fate_ = fate_here;
        pending_.end = end;
        return true;
    }
    bool flush() {
        const Range block = pending_;
        pending_ = {0, 0};
        if (block.size() <= few) return singly(block.begin, block.end);
        const double money = proceeds(block.begin, block.end);
        const double gain = math::added(money, -value(block.begin, block.end));
        if (pending_fate_ == Fate::loss && stops_ && -gain > ledger_.fund) {
            const std::size_t end = payable(block);
            if (end > block.begin) settle(block.begin, end);
            stopped_ = end;
            return false;
        }
        settle(block.begin, block.end, money, gain);
        return true;
    }
    void settle(std::size_t begin, std::size_t end) {
        const double money = proceeds(begin, end);
        settle(begin, end, money, math::added(money, -value(begin, end)));
    }
    void settle(std::size_t begin, std::size_t end, double money, double gain) {
        ledger_.value += value(begin, end);
        if (pending_fate_ == Fate::loss) {
            ledger_.lost(gain < 0.0 ? -gain : 0.0);
        } else if (gain > 0.0) {
            ledger_.gained(gain, ledger_.fee(money, gain));  // the same side of its minimum for all of one fate
        }
    }
    // Of a block of losses, the positions before the first that the fund cannot pay for.
    std::size_t payable(Range block) const {
        std::size_t low = block.begin, high = block.end - 1;
        while (low < high) {
            const std::size_t middle = low + (high - low) / 2;
            if (value(block.begin, middle + 1) - proceeds(block.begin, middle + 1) > ledger_.fund) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }

    bool singly(std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            const double held = s_ * side_.quantity[i], owed = held * (bankruptcy_.scale * bankruptcy_.price[i]);
            const double money = market_.proceeds(start_, state(i), held), gain = math::added(money, -owed);
            if (gain < 0.0 && stops_ && -gain > ledger_.fund) {
                stopped_ = i;
                return false;
            }
            ledger_.value += owed;
            if (gain < 0.0) {
                ledger_.lost(-gain);
            } else {
                ledger_.gained(gain, ledger_.fee(money, gain));
            }
        }
        return true;
    }

    double proceeds(std::size_t begin, std::size_t end) const {
        return market_.proceeds(start_, state(begin), quantity(begin, end));
    }
    double value(std::size_t begin, std::size_t end) const {
        return s_ * bankruptcy_.scale * (bankruptcy_.value_sum[end] - bankruptcy_.value_sum[begin]);
    }

    const Market<Impact>& market_;
    double start_;
    State before_;
    const SideView& side_;
    const BankruptcyView& bankruptcy_;
    double s_;
    Range wave_;
    Ledger& ledger_;
    bool stops_;
    Range pending_{0, 0};
    Fate pending_fate_ = Fate::mixed;
    std::size_t stopped_ = 0;
};

// A wave's closes of both sides where the venue decides nothing: the longs are sold from `before`.
template <class Impact>
inline void settle_wave(const Market<Impact>& market, double start, State before, const BookView& book,
                        const BankruptcyView& longs, Range sold, const BankruptcyView& shorts, Range bought,
                        Ledger& ledger) {
    const double quantity = sold.sum(book.longs.quantity_sum);
    ledger.traded(wave_proceeds(market, start, before, quantity, bought.sum(book.shorts.quantity_sum)));
    Waterfall<Impact>(market, start, before, book.longs, longs, false, sold, ledger).close();
    Waterfall<Impact>(market, start, before.after(quantity), book.shorts, shorts, true, bought, ledger).close();
}

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
