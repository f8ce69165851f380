// A venue settles a wave: who is sold in the market, who is closed against winners, and what money changes hands.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "flushpoint/kernels.hpp"
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

    // Positions are looked at together, so that none waits for another: how much is closed of each follows from the price at
    // which the wave began. So many ahead, what is kept of them is asked for.
    static constexpr std::size_t ahead = 24;
    struct Batch : Trades {
        double held[most], size[most], trigger[most], bankruptcy[most];  // of each
        bool again[most], stop[most];                                    // closed before; an order of its owner
    };

    void settle(Side& side, Side& other, VenueWave& wave) {
        std::vector<std::int32_t> rest;  // slots of those whose losses the fund cannot pay
        if (book_.positions && !wave.listed) wave = side.list(wave.run);
        bool may_default = ledger_.venue->closes_winners();
        // Where nobody can be closed instead, the sale stands, and so do all that follow.
        const auto defaults = [&] { return may_default = winners_.find(other); };
        if (wave.listed) {
            const std::size_t count = side.listed().size();
            Batch batch;
            for (std::size_t at = 0; at < count; at += batch.count) {
                batch.count = std::min(Batch::most, count - at);
                size_up(side, at, batch);
                for (std::size_t i = 0; i < batch.count;) {
                    if (!defaulted_) {
                        i = sell(side, at, i, batch, wave, may_default);
                        if (i < batch.count) defaulted_ = defaults();
                    } else {
                        sell_or_leave(side, side.listed()[at + i], batch.size[i], wave, rest);
                        ++i;
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
            for (; end < wave.run.end; ++end) rest.push_back(taken_out(side, Crossed::of_rank(end)));
        }
        if (rest.empty()) return;
        close_against(side, other, rest);
        for (const std::int32_t slot : rest) {
            Holding& one = side.kept(slot);
            one.order = one.quantity;
            if (one.quantity > 0.0) {
                sell_now(side, slot, one.quantity, wave);
            } else {
                side.give_back(slot);
            }
        }
    }

    // The next of what is listed from `at` on: how much is closed of each, and what it fetches if nobody defaults.
    [[gnu::flatten]] void size_up(Side& side, std::size_t at, Batch& batch) const {
        const VenueData venue = book_.venue();  // a copy, of which no other memory can be a part
        const bool waits = venue.waits(), shorts = side.shorts();
        const std::size_t count = batch.count;
        for (std::size_t i = 0; i < count; ++i) {
            side.expect(at + i + ahead);
            const Crossed crossed = side.listed()[at + i];
            const auto size_up_one = [&](Holding& one) {
                set_out(venue, waits, shorts, one);
                batch.held[i] = one.quantity;
                batch.size[i] = waits ? side.closing()[at + i] : one.order;
                batch.trigger[i] = one.trigger;
                batch.bankruptcy[i] = one.bankruptcy;
                batch.again[i] = one.hit;
                batch.stop[i] = one.stop;
            };
            if (crossed.in_run()) {
                Holding one = side.out_of_run(crossed.rank());
                size_up_one(one);
            } else {
                size_up_one(side.kept(crossed.at));
            }
        }
        State state = state_;
        const double s = side.sign();
        for (std::size_t i = 0; i < count; ++i) {
            batch.quantity[i] = s * batch.size[i];
            batch.sold[i] = state.sold;
            batch.recovering[i] = state.recovering;
            state = state.after(batch.quantity[i]);
        }
        if (defaulted_) return;
        if constexpr (std::is_same_v<Impact, LinearImpact>) {
            kernels().linear_proceeds({market_.impact.coefficient, market_.permanent, market_.spread, market_.liquidity},
                                      start_, batch);
        } else {
            for (std::size_t i = 0; i < count; ++i) {
                batch.money[i] = market_.proceeds(start_, {batch.sold[i], batch.recovering[i]}, batch.quantity[i]);
            }
        }
    }
    // Sells those of a batch from `from` on, up to the first that may default and does, which is returned. Column by column,
    // so that sums stay in registers.
    std::size_t sell(Side& side, std::size_t at, std::size_t from, Batch& batch, VenueWave& wave, bool may_default) {
        const std::size_t end = pay(side, at, from, batch, may_default);
        Tally tally = side.tally;
        State state = state_;
        double quantity = wave.quantity;
        for (std::size_t i = from; i < end; ++i) {
            quantity += batch.size[i];
            state = state.after(batch.quantity[i]);
            tally.add(batch.size[i], batch.trigger[i], batch.again[i], batch.stop[i], true);
        }
        wave.quantity = quantity;
        state_ = state;
        side.tally = tally;
        for (std::size_t i = from; i < end; ++i) {
            const Crossed crossed = side.listed()[at + i];
            if (!crossed.in_run()) {
                Holding& one = side.kept(crossed.at);
                one.bankruptcy = batch.bankruptcy[i];
                one.shrink(batch.size[i]);
                side.give_back(crossed.at);
            } else if (batch.size[i] < batch.held[i]) {
                Holding one = side.out_of_run(crossed.rank());
                one.bankruptcy = batch.bankruptcy[i];
                one.shrink(batch.size[i]);
                side.give_back(side.keep(one));
            }
        }
        return end;
    }
    // The money of their sales.
    [[gnu::flatten]] std::size_t pay(const Side& side, std::size_t at, std::size_t from, Batch& batch, bool may_default) {
        Ledger ledger = ledger_;
        const double s = side.sign();
        std::size_t i = from;
        for (; i < batch.count; ++i) {
            const double money = batch.money[i], size = batch.size[i], held = batch.held[i];
            if (may_default && !batch.stop[i] && size == held &&
                -math::added(money, -s * size * batch.bankruptcy[i]) > ledger.fund) {
                break;
            }
            ledger.traded(money);
            const Margin left = close(s, ledger, held, size, money, batch.bankruptcy[i], batch.stop[i], true);
            if (book_.positions) [[unlikely]] {
                const Crossed crossed = side.listed()[at + i];
                tell(side.place(crossed), s, held, size, money, batch.bankruptcy[i], left, true);
            }
        }
        ledger_ = ledger;
        return i;
    }
    // The slot of one that leaves the book.
    std::int32_t taken_out(Side& side, Crossed crossed) {
        if (!crossed.in_run()) return crossed.at;
        Holding one = side.out_of_run(crossed.rank());
        const VenueData& venue = book_.venue();
        set_out(venue, venue.waits(), side.shorts(), one);
        return side.keep(one);
    }
    // How much of one that leaves the book is to be closed follows from the mark, unless that was settled when it joined the
    // queue.
    void set_out(const VenueData& venue, bool waits, bool shorts, Holding& one) const {
        if (!waits) one.order = close_size(venue, shorts, one, mark_price_, scale_);
        one.bankruptcy *= scale_;
    }
    // Once one has defaulted: stop orders are sold all the same.
    void sell_or_leave(Side& side, Crossed crossed, double size, VenueWave& wave, std::vector<std::int32_t>& rest) {
        const std::int32_t slot = taken_out(side, crossed);
        if (side.kept(slot).stop) {
            sell_now(side, slot, size, wave);
        } else {
            rest.push_back(slot);
        }
    }
    // Sells `size` of a position for what the market pays now.
    void sell_now(Side& side, std::int32_t slot, double size, VenueWave& wave) {
        const double traded = side.sign() * size, money = market_.proceeds(start_, state_, traded);
        wave.quantity += size;
        state_ = state_.after(traded);
        ledger_.traded(money);
        close(side, side.kept(slot), size, money, true);
        side.give_back(slot);
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

    void close(Side& side, Holding& one, double size, double money, bool in_market) {
        const double held = one.quantity;
        const Margin left = close(side.sign(), ledger_, held, size, money, one.bankruptcy, one.stop, in_market);
        if (book_.positions) tell(one.place, side.sign(), held, size, money, one.bankruptcy, left, in_market);
        side.tally.add(size, one.trigger, one.hit, one.stop, in_market);
        one.shrink(size);
    }
    // What a close leaves of a position's margin, and what of that is paid out to its trader.
    struct Margin {
        double gain;
        double credit;
    };
    // `size` of what is held of a position is closed for `money`, signed by its side.
    static Margin close(double s, Ledger& ledger, double held, double size, double money, double& bankruptcy, bool stop,
                        bool in_market) {
        const double owed = s * size * bankruptcy, gain = math::added(money, -owed);
        const double fee = in_market && !stop ? ledger.fee(money, gain) : 0.0;
        double credit = 0.0;
        ledger.value += owed;
        if (size < held) {  // its margin pays or receives the difference
            ledger.charge(fee);
            const double rest = Ledger::after_fee(gain, fee);
            ledger.value += rest;
            bankruptcy -= s * rest / (held - size);
        } else if (gain < 0.0) {
            ledger.lost(-gain);
        } else if (stop) {
            ledger.gained_by_owner(gain);
            credit = gain;
        } else {
            ledger.gained(gain, fee);
            if (ledger.venue->surplus_to == SurplusTo::trader) credit = Ledger::after_fee(gain, fee);
        }
        return {gain, credit};
    }
    void tell(std::int32_t place, double s, double held, double size, double money, double bankruptcy, Margin left,
              bool in_market) {
        PositionLedger& told = *book_.positions;
        told.bankruptcy[place] = bankruptcy;
        if (!(size < held)) (left.gain < 0.0 ? told.shortfall : told.surplus)[place] += left.gain < 0.0 ? -left.gain : left.gain;
        told.add(place, size, s * money, in_market ? 0.0 : size, left.credit);
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
