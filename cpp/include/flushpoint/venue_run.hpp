// Cascades and stress with a venue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/cascade.hpp"
#include "flushpoint/ledger_columns.hpp"
#include "flushpoint/stress.hpp"
#include "flushpoint/venue.hpp"
#include "flushpoint/venue_book.hpp"

namespace flushpoint {

// A book as a venue sees it.
struct VenueBookView {
    BookView book;
    VenueColumns longs;
    VenueColumns shorts;

    bool holds_stops() const { return longs.stop || shorts.stop; }
};

// Whether positions are told apart as they are closed, so that a VenueBook has to hold them.
inline bool tells_apart(const VenueData& venue, const VenueBookView& book) {
    return venue.intervenes() || book.holds_stops();
}

struct VenueOutcome {
    CascadeTotals totals;
    Amount longs, shorts;
    Amount stops;  // of both sides, counted there too
    Ledger ledger;
};

struct VenueStressColumns {
    StressColumns stress;
    double* long_quantity;
    double* short_quantity;
    double* long_notional;
    double* short_notional;
    LedgerColumns ledger;
    std::int64_t* stop_count = nullptr;  // as the next two, where nobody asks
    double* stop_quantity = nullptr;
    double* stop_notional = nullptr;
};

// One cascade. `positions` may be null; `waves` too. Calls `poll` now and then, which may throw to stop it.
VenueOutcome cascade(const VenueBookView& book, const MarketData& market, const VenueData& venue,
                     const Scenario& scenario, std::vector<Wave>* waves, PositionLedger* positions, const Poll& poll);

// Each scenario's cascade.
void stress(const VenueBookView& book, const MarketData& market, const VenueData& venue, const Scenarios& scenarios,
            const VenueStressColumns& out, int threads, const Progress& progress);

}  // namespace flushpoint
