// A venue: cascades with every rule of who is closed and who pays; money is conserved.
#include "flushpoint/venue_run.hpp"
#include "input.hpp"
#include "venue.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fuzz;
    Input in(data, size);
    Market market(in);
    const fp::Scenario scenario = fuzz::scenario(in);
    const VenueRules rules(in);
    const tests::Positions held = positions(in, market.data.price, false);
    const tests::SortedBook book(held);
    if (!sums_are_finite(book)) return 0;
    const StopOrders stops(in, book);
    const fp::VenueBookView view = stops.view(book);

    std::vector<double> told[7];
    for (auto& column : told) column.assign(held.size(), 0.0);
    fp::PositionLedger positions{told[0].data(), told[1].data(), told[2].data(), told[3].data(),
                                 told[4].data(), told[5].data(), told[6].data()};
    std::vector<fp::Wave> waves;
    const fp::VenueOutcome out = fp::cascade(view, market.data, rules.data, scenario, &waves, &positions, [] {});
    check_totals(out.totals, book.longs.live, book.shorts.live);
    check(waves.size() == static_cast<std::size_t>(out.totals.waves), "every wave is told");
    const fp::VenueOutcome again = fp::cascade(view, market.data, rules.data, scenario, nullptr, nullptr, [] {});
    check(again.totals.waves == out.totals.waves, "telling of positions changes nothing");
    if (in.extreme()) return 0;

    double closed = 0.0, scale = 0.0;
    for (std::size_t i = 0; i < held.size(); ++i) {
        check(told[0][i] <= held.quantity[i] * (1.0 + 1e-9), "no position closes more than it holds");
        closed += told[0][i];
        scale += held.quantity[i] * (held.entry[i] + market.data.price + std::min(held.bankruptcy[i], 1e3 * market.data.price));
    }
    check(near(closed, out.longs.quantity + out.shorts.quantity + out.ledger.adl_quantity, closed), "quantities add up");
    const fp::Ledger& ledger = out.ledger;
    const double money = scale + std::abs(ledger.proceeds) + ledger.shortfall + ledger.surplus + rules.data.fund;
    if (!(money < 1e12)) return 0;  // prices without bound, in a market used up
    check(std::abs(ledger.imbalance()) <= 1e-9 * money, "money is conserved");
    check(ledger.fund >= -1e-9 * money, "a fund is never below 0");
    return 0;
}
