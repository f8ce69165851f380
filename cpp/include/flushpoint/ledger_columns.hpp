// Columns of a ledger, one entry a scenario or path.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flushpoint/venue.hpp"

namespace flushpoint {

// Where to write; any may be null.
struct LedgerColumns {
    double* proceeds;
    double* shortfall;
    double* surplus;
    double* fund_end;
    double* fund_paid;
    double* fund_received;
    double* fund_needed;
    double* fees;
    double* unpaid_loss;
    double* socialised_loss;
    double* adl_quantity;
    std::int64_t* adl_count;
    double* to_traders;
    double* kept;
    double* released;
    double* value;

    // Calls f(name, column) for each.
    template <class Columns, class Function>
    static void for_each(Columns& c, Function&& f) {
        f("proceeds", c.proceeds);
        f("shortfall", c.shortfall);
        f("surplus", c.surplus);
        f("fund_end", c.fund_end);
        f("fund_paid", c.fund_paid);
        f("fund_received", c.fund_received);
        f("fund_needed", c.fund_needed);
        f("fees", c.fees);
        f("unpaid_loss", c.unpaid_loss);
        f("socialised_loss", c.socialised_loss);
        f("adl_quantity", c.adl_quantity);
        f("adl_count", c.adl_count);
        f("to_traders", c.to_traders);
        f("kept", c.kept);
        f("released", c.released);
        f("value", c.value);
    }
    // Whether any but proceeds is wanted.
    bool needs_bankruptcy() const {
        bool any = false;
        for_each(*this, [&](const char*, const auto* column) { any |= column && static_cast<const void*>(column) != proceeds; });
        return any;
    }
    void write(std::size_t i, const Ledger& l) const {
        const auto put = [i](auto* column, auto figure) {
            if (column) column[i] = figure;
        };
        put(proceeds, l.proceeds);
        put(shortfall, l.shortfall);
        put(surplus, l.surplus);
        put(fund_end, l.fund);
        put(fund_paid, l.fund_paid);
        put(fund_received, l.fund_received);
        put(fund_needed, l.fund_needed);
        put(fees, l.fees);
        put(unpaid_loss, l.unpaid_loss);
        put(socialised_loss, l.socialised_loss);
        put(adl_quantity, l.adl_quantity);
        put(adl_count, l.adl_count);
        put(to_traders, l.to_traders);
        put(kept, l.kept);
        put(released, l.released);
        put(value, l.value);
    }
};

}  // namespace flushpoint
