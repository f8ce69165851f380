// A venue settles a wave: who is sold in the market, who is closed against winners, and what money changes hands.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "flushpoint/venue_book.hpp"
#include "flushpoint/waterfall.hpp"
#include "flushpoint/winners.hpp"

namespace flushpoint {

inline namespace FLUSHPOINT_ARCH {

template <class Impact, class Others = NobodyElse>
class Settlement {
public:
    // Before the wave has moved the market.
    Settlement(const Market<Impact>& market, double start, const Trading& trading, VenueBook& book)
        : Settlement(market, start, start / market.mark_factor(trading.displacement), trading, book, book.ledger, {}) {}
    // The same where others, too, can be closed as winners; `start` is what the price would be without trades here.
    Settlement(const Market<Impact>& market, double start, double mark_price, const Trading& trading, VenueBook& book,
               Ledger& ledger, Others others)
        : market_(market),
          start_(start),
          mark_price_(mark_price),
          state_(trading.state),
          scale_(trading.scale),
          book_(book),
          ledger_(ledger),
          winners_(book, mark_price, trading.scale, ledger, others) {}

    // Longs, then shorts; leaves in the waves what was traded in the market.
    void settle(VenueWave& sold, VenueWave& bought) {
        settle(book_.longs, book_.shorts, sold);
        settle(book_.shorts, book_.longs, bought);
        book_.longs.end_wave();
        book_.shorts.end_wave();
    }

private:
    using Side = VenueBook::Side;

    // Positions looked at together, so that none waits for another: how much is closed of each follows from the price at which
    // the wave began.
    struct Sales {
        static constexpr std::size_t most = 32, ahead = 24;
        std::int32_t slot[most];
        double size[most], money[most];
    };

    void settle(Side& side, Side& other, VenueWave& wave) {
        std::vector<std::int32_t> rest;  // slots of those whose losses the fund cannot pay
        if (book_.positions && !wave.listed) wave = side.list(wave.run);
        bool may_default = ledger_.venue->closes_winners();
        // Where nobody can be closed instead, the sale stands, and so do all that follow.
        const auto defaults = [&] { return may_default = winners_.find(other); };
        if (wave.listed) {
            const std::size_t count = side.listed().size();
            Sales sales;
            for (std::size_t at = 0; at < count; at += Sales::most) {
                const std::size_t n = std::min(Sales::most, count - at);
                take_out(side, at, n, sales);
                for (std::size_t i = 0; i < n; ++i) {
                    const std::int32_t slot = sales.slot[i];
                    const bool stop = side.kept(slot).stop;
                    if (defaulted_ && !stop) {
                        rest.push_back(slot);
                        continue;
                    }
                    const double size = sales.size[i];
                    const double money = defaulted_ ? proceeds(side, size) : sales.money[i];
                    if (sell(side, slot, size, money, wave, may_default && !stop)) continue;
                    defaulted_ = defaults();
                    if (defaulted_) {
                        rest.push_back(slot);
                    } else {
                        sell(side, slot, size, money, wave, may_default);
                    }
                }
            }
        } else {
            std::size_t end = wave.run.begin;
            while (end < wave.run.end && !defaulted_) {
                end = sell(side, {end, wave.run.end}, wave, may_default);
                if (end < wave.run.end) defaulted_ = defaults();
            }
            if (end == wave.run.end) return;
            side.list({end, wave.run.end});
            for (const Crossed& crossed : side.listed()) {
                rest.push_back(side.take_out(crossed, mark_price_));
                side.kept(rest.back()).bankruptcy *= scale_;
            }
        }
        if (rest.empty()) return;
        close_against(side, other, rest);
        for (const std::int32_t slot : rest) {
            Holding& one = side.kept(slot);
            one.order = one.quantity;
            if (one.quantity > 0.0) {
                sell(side, slot, one.quantity, proceeds(side, one.quantity), wave, false);
            } else {
                side.give_back(slot);
            }
        }
    }

    // What the market pays for `size` now, signed by the side.
    double proceeds(const Side& side, double size) const {
        return market_.proceeds(start_, state_, side.sign() * size);
    }
    // Takes out the next `n` from `at` on of what is listed, and works out what they fetch if nobody defaults.
    void take_out(Side& side, std::size_t at, std::size_t n, Sales& sales) const {
        const std::vector<Crossed>& listed = side.listed();
        State before[Sales::most], state = state_;
        double traded[Sales::most];
        for (std::size_t i = 0; i < n; ++i) {
            side.expect(at + i + Sales::ahead);
            sales.slot[i] = side.take_out(listed[at + i], mark_price_);
            Holding& one = side.kept(sales.slot[i]);
            one.bankruptcy *= scale_;
            sales.size[i] = side.closing(listed[at + i], one);
            before[i] = state;
            traded[i] = side.sign() * sales.size[i];
            state = state.after(traded[i]);
        }
        if (!defaulted_) market_.proceeds(start_, before, traded, n, sales.money);
    }
    // Sells `size` of a position for `money`; if it may default, not where that is all of it and the fund cannot pay its loss.
    bool sell(Side& side, std::int32_t slot, double size, double money, VenueWave& wave, bool may_default) {
        Holding& one = side.kept(slot);
        const double traded = side.sign() * size;
        const double loss = -math::added(money, -traded * one.bankruptcy);
        if (may_default && size == one.quantity && loss > ledger_.fund) return false;
        wave.quantity += size;
        state_ = state_.after(traded);
        ledger_.traded(money);
        close(side, one, size, money, true);
        side.give_back(slot);
        return true;
    }
    // Sells a part of the run, whole positions; if they may default, up to the first that does, which is returned.
    std::size_t sell(Side& side, Range run, VenueWave& wave, bool may_default) {
        BankruptcyView bankruptcy = side.columns().bankruptcy;
        bankruptcy.scale = scale_;
        Waterfall<Impact> waterfall(market_, start_, state_, side.view(), bankruptcy, side.shorts(), run, ledger_, may_default);
        const Range sold{run.begin, waterfall.close()};
        const double quantity = sold.sum(side.view().quantity_sum), traded = side.sign() * quantity;
        wave.quantity += quantity;
        ledger_.traded(market_.proceeds(start_, state_, traded));
        state_ = state_.after(traded);
        side.sold(sold);
        return sold.end;
    }

    // Winners of the other side take over the positions of this one, in firing order, until none is left.
    void close_against(Side& side, Side& other, const std::vector<std::int32_t>& losers) {
        double needed = 0.0;
        for (const std::int32_t slot : losers) needed += side.kept(slot).quantity;
        if (book_.winners.empty() && !winners_.find(other)) return;
        const double found = winners_.choose(other, needed);

        double left = found, money = 0.0;
        for (const std::int32_t slot : losers) {
            Holding& one = side.kept(slot);
            const double size = found == needed ? one.quantity : std::min(one.quantity, left);
            if (size == 0.0) break;
            const double price = ledger_.venue->adl_at_mark ? mark_price_ : one.bankruptcy;
            left -= size;
            money += size * price;
            close(side, one, size, side.sign() * size * price, false);
        }
        winners_.close(other, found, money / found);
    }

    // `size` of a position is closed for `money`, signed by its side.
    void close(Side& side, Holding& one, double size, double money, bool in_market) {
        const double s = side.sign(), owed = s * size * one.bankruptcy, gain = math::added(money, -owed);
        const double fee = in_market && !one.stop ? ledger_.fee(money, gain) : 0.0;
        double credit = 0.0;
        ledger_.value += owed;
        if (size < one.quantity) {  // its margin pays or receives the difference
            ledger_.charge(fee);
            const double rest = Ledger::after_fee(gain, fee);
            ledger_.value += rest;
            one.bankruptcy -= s * rest / (one.quantity - size);
        } else if (gain < 0.0) {
            ledger_.lost(-gain);
        } else if (one.stop) {
            ledger_.gained_by_owner(gain);
            credit = gain;
        } else {
            ledger_.gained(gain, fee);
            if (ledger_.venue->surplus_to == SurplusTo::trader) credit = Ledger::after_fee(gain, fee);
        }
        one.quantity -= size;
        side.closed(one, size, in_market);
        if (PositionLedger* told = book_.positions) {
            told->bankruptcy[one.place] = one.bankruptcy;
            if (one.quantity == 0.0) (gain < 0.0 ? told->shortfall : told->surplus)[one.place] += gain < 0.0 ? -gain : gain;
        }
        if (book_.positions) book_.positions->add(one.place, size, s * money, in_market ? 0.0 : size, credit);
    }

    const Market<Impact>& market_;
    double start_, mark_price_;
    State state_;  // of the market, as the wave is traded
    double scale_;  // of the book's prices, without which it keeps them
    VenueBook& book_;
    Ledger& ledger_;
    Winners<Others> winners_;
    bool defaulted_ = false;  // the rest of the wave is closed against winners
};

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
