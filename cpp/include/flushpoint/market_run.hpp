// One of several markets in the course of a cascade: its own positions, and what accounts trade in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "flushpoint/cascade.hpp"
#include "flushpoint/pulse.hpp"
#include "flushpoint/venue_book.hpp"
#include "flushpoint/venue_run.hpp"

namespace flushpoint {

// A market and its own positions, with the group of each in firing order (null where there are none).
struct MarketBook {
    MarketData market;
    VenueBookView positions;
    const std::int32_t* long_group;
    const std::int32_t* short_group;
    // Which are isolated; null where no winners are closed.
    const bool* long_alone = nullptr;
    const bool* short_alone = nullptr;
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

inline namespace FLUSHPOINT_ARCH {

// A market's own positions in the course of a cascade, where each that is crossed is sold whole,
struct SoldWhole {
    SoldWhole(const MarketBook& b, const VenueData&, Pulse&)
        : longs{b.positions.book.longs, false}, shorts{b.positions.book.shorts, true} {}

    static constexpr bool closes_winners = false;
    static constexpr double adl_quantity = 0.0;
    static constexpr std::int64_t adl_count = 0;
    SortedSide longs, shorts;
    Range sold{0, 0}, bought{0, 0};  // in the round at hand
};
// or where winners are closed against those whose losses the fund cannot pay.
struct ClosedAgainstWinners {
    ClosedAgainstWinners(const MarketBook& b, const VenueData& venue, Pulse& pulse)
        : held(std::make_unique<Held>(b, venue, pulse)), longs(held->book.longs), shorts(held->book.shorts) {}

    struct Held {
        Held(const MarketBook& b, const VenueData& venue, Pulse& pulse)
            : book(venue, b.positions.book, b.positions.longs, b.positions.shorts, pulse) {
            if (!b.long_group) return;  // else whose the losses are is asked
            const std::size_t count = b.positions.longs.count + b.positions.shorts.count;
            told.resize(7 * count);
            double* at[7];
            for (std::size_t i = 0; i < 7; ++i) at[i] = told.data() + i * count;
            ledger = {at[0], at[1], at[2], at[3], at[4], at[5], at[6]};
            book.positions = &ledger;
        }

        VenueBook book;
        std::vector<double> told;
        PositionLedger ledger{};
    };

    static constexpr bool closes_winners = true;
    std::unique_ptr<Held> held;
    VenueBook::Side &longs, &shorts;
    VenueWave sold{}, bought{};
    double adl_quantity = 0.0;
    std::int64_t adl_count = 0;
};

// Calls f with the one that a venue asks for.
template <class Function>
inline decltype(auto) with_own(const VenueData& venue, Function&& f) {
    if (venue.closes_winners()) return f(std::type_identity<ClosedAgainstWinners>{});
    return f(std::type_identity<SoldWhole>{});
}

// One market in the course of a cascade.
template <class Own>
struct MarketRun : Own {
    MarketRun(const MarketBook& b, const VenueData& venue, Pulse& pulse) : Own(b, venue, pulse), book(&b) {}
    using Own::longs, Own::shorts;

    const MarketBook* book;
    double liquidity = 1.0;
    double start = 0.0;  // exogenous price
    double pushed = 0.0;  // displacement by what was sold in other markets
    Trading trading;
    // Closed of accounts over several markets, longs and shorts, in the market or (matched) against winners.
    std::int64_t count[2] = {};
    double quantity[2] = {}, matched[2] = {}, notional[2] = {};
    // Of the cascade: what recovers but was not sold by positions; of the round: where the market stands, account by account.
    double recovered = 0.0;
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

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
