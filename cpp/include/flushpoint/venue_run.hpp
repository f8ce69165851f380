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
};

// What was closed of one side, in the market or against winners.
struct ClosedSide {
    std::int64_t count = 0;
    double quantity = 0.0;
    double notional = 0.0;
};

struct VenueOutcome {
    CascadeTotals totals;
    ClosedSide longs, shorts;
    Ledger ledger;
};

struct VenueStressColumns {
    StressColumns stress;
    double* long_quantity;
    double* short_quantity;
    double* long_notional;
    double* short_notional;
    LedgerColumns ledger;
};

// One cascade. `positions` may be null; `waves` too. Calls `poll` now and then, which may throw to stop it.
VenueOutcome cascade(const VenueBookView& book, const MarketData& market, const VenueData& venue,
                     const Scenario& scenario, std::vector<Wave>* waves, PositionLedger* positions, const Poll& poll);

// Each scenario's cascade.
void stress(const VenueBookView& book, const MarketData& market, const VenueData& venue, const Scenarios& scenarios,
            const VenueStressColumns& out, int threads, const Progress& progress);

}  // namespace flushpoint
