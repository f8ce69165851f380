#include "flushpoint/venue_run.hpp"

#include "flushpoint/settlement.hpp"
#include "flushpoint/waterfall.hpp"

namespace flushpoint {

namespace {

// The venue changes nothing of what is traded: the plain cascade, and who pays.
template <class Impact, class OnWave>
VenueOutcome account(const VenueBookView& view, const Market<Impact>& market, double price, const VenueData& venue,
                     const Scenario& scenario, OnWave&& on_wave) {
    VenueOutcome out{{}, {}, {}, {}, Ledger(venue)};
    const BookView& book = view.book;
    out.totals = run_cascade(book, market, price, scenario,
                             [&](double start, const Trading& before, Range sold, Range bought) {
                                 on_wave(start, before, sold, bought);
                                 settle_wave(market, start, before.state, view.book, view.longs.bankruptcy, sold,
                                             view.shorts.bankruptcy, bought, out.ledger);
                             });
    const auto closed = [](const SideView& side, std::size_t count) {
        return Amount{static_cast<std::int64_t>(count), side.quantity_sum[count], side.notional_sum[count]};
    };
    out.longs = closed(book.longs, out.totals.longs_closed);
    out.shorts = closed(book.shorts, out.totals.shorts_closed);
    return out;
}

// The venue decides what is traded.
template <class Impact, class OnWave>
VenueOutcome intervene(const VenueBookView& view, const Market<Impact>& market, double price, const VenueData& venue,
                       const Scenario& scenario, PositionLedger* positions, Pulse& pulse, OnWave&& on_wave) {
    VenueBook book(venue, view.book, view.longs, view.shorts, pulse);
    book.positions = positions;
    const CascadeTotals totals =
        run_cascade(book.longs, book.shorts, market, price, scenario,
                    [&](double start, const Trading& before, VenueWave& sold, VenueWave& bought) {
                        const double price_before = start * math::exp(-before.displacement);
                        Settlement<Impact>(market, start, before, book).settle(sold, bought);
                        pulse.spent(100 + 5 * static_cast<std::size_t>(sold.size() + bought.size()));
                        on_wave({price_before, book.longs.wave_quantity() + book.shorts.wave_quantity(),
                                 sold.size() + bought.size(), book.longs.wave_notional() + book.shorts.wave_notional()});
                    });
    const auto closed = [](const VenueBook::Side& side) {
        return Amount{side.count(), side.closed_quantity(), side.notional()};
    };
    return {totals, closed(book.longs), closed(book.shorts), book.stops(), book.ledger};
}

}  // namespace

VenueOutcome cascade(const VenueBookView& view, const MarketData& data, const VenueData& venue, const Scenario& scenario,
                     std::vector<Wave>* waves, PositionLedger* positions, const Poll& poll) {
    const Progress progress = [&](std::size_t) { poll(); };
    Pulse pulse(progress);
    return with_market(data, scenario.liquidity, [&](const auto& market) {
        if (tells_apart(venue, view) || positions) {
            return intervene(view, market, data.price, venue, scenario, positions, pulse, [&](const Wave& wave) {
                if (waves) waves->push_back(wave);
            });
        }
        return account(view, market, data.price, venue, scenario,
                       [&](double start, const Trading& before, Range sold, Range bought) {
                           if (waves) waves->push_back(wave_of(view.book, start, before, sold, bought));
                       });
    });
}

void stress(const VenueBookView& view, const MarketData& data, const VenueData& venue, const Scenarios& scenarios,
            const VenueStressColumns& out, int threads, const Progress& progress) {
    with_market(data, 1.0, [&](const auto& whole) {
        for_each_scenario(scenarios.count, threads, progress, [&](std::size_t i, Pulse& pulse) {
            const Scenario scenario = scenarios[i];
            const auto market = whole.with_liquidity(scenario.liquidity);
            const VenueOutcome outcome =
                tells_apart(venue, view)
                    ? intervene(view, market, data.price, venue, scenario, nullptr, pulse, [](const Wave&) {})
                    : account(view, market, data.price, venue, scenario,
                              [&](double, const Trading&, Range, Range) { pulse.spent(100); });
            out.stress.write(i, outcome.totals);
            out.stress.long_count[i] = outcome.longs.count;
            out.stress.short_count[i] = outcome.shorts.count;
            out.long_quantity[i] = outcome.longs.quantity;
            out.short_quantity[i] = outcome.shorts.quantity;
            out.long_notional[i] = outcome.longs.notional;
            out.short_notional[i] = outcome.shorts.notional;
            if (out.stop_count) out.stop_count[i] = outcome.stops.count;
            if (out.stop_quantity) out.stop_quantity[i] = outcome.stops.quantity;
            if (out.stop_notional) out.stop_notional[i] = outcome.stops.notional;
            out.ledger.write(i, outcome.ledger);
        });
    });
}

}  // namespace flushpoint
