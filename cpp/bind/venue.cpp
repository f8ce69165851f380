#include "venue.hpp"

#include <vector>

#include "flushpoint/deleveraging.hpp"
#include "flushpoint/waterfall.hpp"

namespace flushpoint::bind {

namespace {

// (value_sum, ahead, behind)
py::tuple look_ahead(const py::tuple& side, const Doubles& bankruptcy, bool shorts) {
    const Side s(side);
    require(length(bankruptcy) == length(s.trigger), "_core: the columns of a side do not fit together");
    const std::size_t entries = fp::strides(s.view.count);
    Doubles value_sum = doubles(s.view.count + 1), ahead = doubles(entries), behind = doubles(entries);
    double *value_to = value_sum.mutable_data(), *ahead_to = ahead.mutable_data(), *behind_to = behind.mutable_data();
    {
        const py::gil_scoped_release release;
        fp::look_ahead(s.view, bankruptcy.data(), shorts, value_to, ahead_to, behind_to);
    }
    return py::make_tuple(value_sum, ahead, behind);
}

py::dict cascade_venue(const py::tuple& longs, const py::tuple& shorts, const py::tuple& positions,
                       const py::tuple& market, const py::tuple& venue, double shock, double sell, double refill) {
    const Book book(longs, shorts);
    const Market m(market);
    const VenuePositions columns(book, positions);
    const Venue v(venue);
    columns.require_for(v.data);
    std::vector<fp::Wave> waves;
    std::optional<fp::VenueOutcome> found;
    {
        const py::gil_scoped_release release;
        found = fp::cascade(columns.view, m.data, v.data, {shock, sell, refill}, &waves, nullptr, check_signals);
    }
    py::dict out;
    const fp::CascadeTotals& t = found->totals;
    out["final_price"] = t.final_price;
    out["low_price"] = t.low_price;
    out["high_price"] = t.high_price;
    out["amplification"] = t.amplification;
    out["exhausted"] = t.exhausted;
    out["support_quantity"] = t.support_quantity;
    const fp::Amount &sold = found->longs, &bought = found->shorts, &stops = found->stops;
    out["liquidated_quantity"] = sold.quantity + bought.quantity - stops.quantity;
    out["liquidated_count"] = sold.count + bought.count - stops.count;
    out["liquidated_notional"] = sold.notional + bought.notional - stops.notional;
    out["stop_quantity"] = stops.quantity;
    out["stop_count"] = stops.count;
    out["stop_notional"] = stops.notional;
    out["waves"] = copied(waves);
    fp::LedgerColumns ledger{};
    constexpr std::size_t most = sizeof(fp::LedgerColumns) / sizeof(double*);
    double numbers[most];
    std::int64_t whole[most];
    std::size_t used = 0, counted = 0;
    const auto slot = [&](auto*& at) {
        if constexpr (std::is_same_v<decltype(at), double*&>) at = numbers + used++;
        else at = whole + counted++;
    };
    fp::LedgerColumns::for_each(ledger, [&](const char*, auto*& at) { slot(at); });
    ledger.write(0, found->ledger);
    fp::LedgerColumns::for_each(ledger, [&](const char* name, auto*& at) { out[name] = *at; });
    return out;
}

// Writes into (quantity, money, adl_quantity, credit, shortfall, surplus, bankruptcy), an entry a position in input order.
void cascade_venue_positions(const py::tuple& longs, const py::tuple& shorts, const py::tuple& positions,
                             const py::tuple& market, const py::tuple& venue, double shock, double sell, double refill,
                             const py::tuple& outcome) {
    const Book book(longs, shorts);
    const Market m(market);
    const VenuePositions columns(book, positions);
    const Venue v(venue);
    columns.require_for(v.data);
    columns.require_places();
    Doubles arrays[7];
    for (std::size_t i = 0; i < 7; ++i) {
        arrays[i] = array_at<Doubles>(outcome, i);
        require(length(arrays[i]) == columns.longs.view.count + columns.shorts.view.count,
                "_core: the columns of a result do not fit the book");
    }
    fp::PositionLedger to{arrays[0].mutable_data(), arrays[1].mutable_data(), arrays[2].mutable_data(),
                          arrays[3].mutable_data(), arrays[4].mutable_data(), arrays[5].mutable_data(),
                          arrays[6].mutable_data()};
    const py::gil_scoped_release release;
    fp::cascade(columns.view, m.data, v.data, {shock, sell, refill}, nullptr, &to, check_signals);
}

// The columns of stress, long_quantity, short_quantity, long_notional, short_notional, those of stop orders where there are
// any, and those of a ledger that are wanted.
py::dict stress_venue(const py::tuple& longs, const py::tuple& shorts, const py::tuple& positions,
                      const py::tuple& market, const py::tuple& venue, const py::tuple& scenarios,
                      const py::tuple& wanted, int threads, const py::object& progress) {
    const Book book(longs, shorts);
    const Market m(market);
    const VenuePositions columns(book, positions);
    const Venue v(venue);
    columns.require_for(v.data);
    const Scenarios in(scenarios);
    NamedColumns out{{}, in.view.count};
    fp::VenueStressColumns to{};
    fp::StressColumns& s = to.stress;
    out.add("final_price", s.final_price);
    out.add("low_price", s.low_price);
    out.add("high_price", s.high_price);
    out.add("amplification", s.amplification);
    out.add("exhausted", s.exhausted);
    out.add("waves", s.waves);
    out.add("long_count", s.long_count);
    out.add("short_count", s.short_count);
    out.add("support_quantity", s.support_quantity);
    out.add("long_quantity", to.long_quantity);
    out.add("short_quantity", to.short_quantity);
    out.add("long_notional", to.long_notional);
    out.add("short_notional", to.short_notional);
    if (columns.view.holds_stops()) {
        out.add("stop_count", to.stop_count);
        out.add("stop_quantity", to.stop_quantity);
        out.add("stop_notional", to.stop_notional);
    }
    for (const py::handle name : wanted) {
        require(out.add(name.cast<std::string>(), to.ledger), "_core: no such column");
    }
    {
        const py::gil_scoped_release release;
        fp::stress(columns.view, m.data, v.data, in.view, to, fp::resolve_threads(threads),
                   progress_of(progress, in.view.count));
    }
    return out.columns;
}

Doubles auto_deleverage(int rule, double needed, double price, bool shorts, const Doubles& quantity,
                        const Doubles& entry_price, const Doubles& bankruptcy_price, const Doubles& trigger_price) {
    const std::size_t n = length(quantity);
    require(length(entry_price) == n && length(bankruptcy_price) == n && length(trigger_price) == n,
            "_core: the columns must have one length");
    require(rule >= 0 && rule < 9, "_core: no such rule of a venue");
    require(n <= 0x7fffffff, "_core: there are too many positions");
    Doubles out = doubles(n);
    const std::span<double> closed(out.mutable_data(), n);
    std::vector<fp::Candidate> candidates(n);
    for (std::size_t i = 0; i < n; ++i) {
        candidates[i] = {quantity.data()[i], entry_price.data()[i], bankruptcy_price.data()[i], trigger_price.data()[i],
                         static_cast<std::int32_t>(i)};
    }
    const py::gil_scoped_release release;
    fp::deleverage(static_cast<fp::AdlRule>(rule), price, shorts, needed, candidates, closed);
    return out;
}

}  // namespace

void bind_venue(py::module_& m) {
    m.def("look_ahead", &look_ahead, py::arg("side"), py::arg("bankruptcy").noconvert(), py::arg("shorts"));
    m.def("cascade_venue", &cascade_venue, py::arg("longs"), py::arg("shorts"), py::arg("positions"), py::arg("market"),
          py::arg("venue"), py::arg("shock"), py::arg("sell"), py::arg("refill"));
    m.def("cascade_venue_positions", &cascade_venue_positions, py::arg("longs"), py::arg("shorts"), py::arg("positions"),
          py::arg("market"), py::arg("venue"), py::arg("shock"), py::arg("sell"), py::arg("refill"), py::arg("outcome"));
    m.def("stress_venue", &stress_venue, py::arg("longs"), py::arg("shorts"), py::arg("positions"), py::arg("market"),
          py::arg("venue"), py::arg("scenarios"), py::arg("wanted"), py::arg("threads"), py::arg("progress"));
    m.def("auto_deleverage", &auto_deleverage, py::arg("rule"), py::arg("needed"), py::arg("price"), py::arg("shorts"),
          py::arg("quantity").noconvert(), py::arg("entry_price").noconvert(), py::arg("bankruptcy_price").noconvert(),
          py::arg("trigger_price").noconvert());
}

}  // namespace flushpoint::bind
