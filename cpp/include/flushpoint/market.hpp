// A market under forced trade: displacement, price, the crossing test and proceeds. Each rule stands here once.
#pragma once

#include <cstddef>

#include "flushpoint/impact.hpp"
#include "flushpoint/support.hpp"

namespace flushpoint {

// Validated by the caller: price > 0, permanent >= 0, 0 <= spread < 2, 0 <= mark_weight <= 1.
struct MarketData {
    double price;
    double permanent;
    double spread;
    double mark_weight;
    ImpactData impact;
    SupportView support{nullptr, nullptr, 0};  // at prices below the market's
};

inline namespace FLUSHPOINT_ARCH {

// Relative slack of the crossing test, far above rounding and far below any tick.
inline constexpr double tie = 1e-12;

// How far a market has been sold into: `sold` stays for good, `recovering` recovers.
struct State {
    double sold;
    double recovering;

    State after(double quantity) const { return {sold + quantity, recovering + quantity}; }
};

template <class Impact>
struct Market {
    using Family = Impact;

    Impact impact;
    double permanent;
    double spread;
    double mark_weight;
    double liquidity;
    const SupportView* support;  // null for none

    // The same market, so many times as deep.
    Market with_liquidity(double times) const {
        Market out = *this;
        out.liquidity = times;
        return out;
    }

    // D is a number or, of odd families, a vector of them.
    template <class D>
    D recovering_displacement(D volume) const {
        if constexpr (Impact::odd) {
            return impact.h(volume / liquidity, false);
        } else {
            return volume >= 0.0 ? impact.h(volume / liquidity, false) : -impact.h(-volume / liquidity, true);
        }
    }
    template <class D>
    D permanent_displacement(D sold) const {
        return permanent == 0.0 ? D{} : permanent * (sold / liquidity);
    }

    // g: how far below the exogenous price trading has pushed the log price
    template <class D>
    D displacement(D sold, D recovering) const {
        return permanent_displacement(sold) + recovering_displacement(recovering);
    }
    double displacement(State s) const { return displacement(s.sold, s.recovering); }
    // The quantity that, sold from rest, displaces by x (bought, hence negative, where x < 0).
    double inverse_displacement(double x) const {
        return liquidity * (x >= 0.0 ? impact.inverse(x, false, permanent) : -impact.inverse(-x, true, permanent));
    }
    // The quantity that, bought from s, brings the displacement down to x.
    double purchase_to(State s, double x) const {
        return s.recovering - inverse_displacement(x - permanent_displacement(s.sold - s.recovering));
    }
    // How far below the exogenous price the log mark stands.
    template <class D>
    D mark_displacement(D displacement) const {
        return mark_weight == 0.0 ? D{} : mark_weight * displacement;
    }
    // What a trigger is multiplied by before it is compared with the start price.
    double mark_factor(double displacement) const { return math::exp(mark_displacement(displacement)); }

    // The integral of exp(-g) over the sale of `quantity` (a purchase if negative), never negative.
    double trade_integral(State s, double quantity) const {
        const double v = s.recovering;
        const double end = v + quantity;
        const double width = quantity < 0.0 ? -quantity : quantity;
        if (v >= 0.0 && end >= 0.0) return part(s, quantity < 0.0 ? end : v, width, false);
        if (v <= 0.0 && end <= 0.0) return part(s, quantity < 0.0 ? -v : -end, width, true);
        return quantity < 0.0 ? part(s, 0.0, v, false) + part(s, 0.0, -end, true)
                              : part(s, 0.0, -v, true) + part(s, 0.0, end, false);
    }
    // Money received for selling `quantity` from s (paid, hence negative, for buying -quantity). Where a price of 0 or inf
    // meets a depth that is used up, the worse of both counts.
    double proceeds(double start, State s, double quantity) const {
        if (quantity == 0.0) return 0.0;
        const double amount = start * trade_integral(s, quantity);
        if (amount != amount) return quantity > 0.0 ? 0.0 : -math::infinity;
        return quantity > 0.0 ? amount * with_spread(false) : -amount * with_spread(true);
    }
    // The same for as many trades as D has numbers, each from a state of its own, where they go one way and each is of the
    // plain kind: on one side of the depth, and small. Not a number where it is not. W is the type of D's bits.
    template <class D, class W>
    D plain_proceeds(double start, D sold, D recovering, D quantity) const {
        const D end = recovering + quantity;
        const bool sells = quantity[0] > 0.0, asks = !(recovering[0] >= 0.0 && end[0] >= 0.0);
        const auto one_way = sells ? quantity > 0.0 : quantity < 0.0;
        const auto one_side = asks ? (recovering <= 0.0) & (end <= 0.0) : (recovering >= 0.0) & (end >= 0.0);
        const D width = sells ? quantity : -quantity, first = sells == asks ? end : recovering, low = asks ? -first : first;
        const D h = impact.h(low / liquidity, asks), relative = part_at_unit_price(low, width, asks);
        const auto plain = one_way & one_side & (h < math::infinity) & (relative > 0.0);
        const D amount = start * (relative * math::detail::exp_of_any<D, W>(rise(sold, recovering, low, h, asks)));
        return plain ? (sells ? amount : -amount) * with_spread(!sells) : D{} + math::not_a_number;
    }
    // The price at which the next unit is sold (bought) from s.
    double unit_price(double start, State s, bool buys) const {
        return start * math::exp(-displacement(s)) * with_spread(buys);
    }

private:
    double with_spread(bool buys) const { return buys ? 1.0 + 0.5 * spread : 1.0 - 0.5 * spread; }
    // The same over one side of the depth, from `low` units consumed to `low + width`.
    double part(State s, double low, double width, bool asks) const {
        const double h = impact.h(low / liquidity, asks);
        if (h == math::infinity) return asks ? h : 0.0;
        const double relative = part_at_unit_price(low, width, asks);
        return relative == 0.0 ? 0.0 : relative * math::exp(rise(s.sold, s.recovering, low, h, asks));
    }
    // The same relative to the price at `low`, and how far that is above the exogenous one, of one state or several.
    template <class D>
    D part_at_unit_price(D low, D width, bool asks) const {
        return liquidity * impact.money(low / liquidity, width / liquidity, asks, permanent);
    }
    template <class D>
    D rise(D sold, D recovering, D low, D h, bool asks) const {
        return (asks ? h : -h) - permanent_displacement(sold + ((asks ? -low : low) - recovering));
    }
};

// The crossing test, for every question: a long fires when its trigger is at or above the mark, a short at or below.
// Both are one comparison, of a start and a mark factor that have the side's sign (+1 for longs, -1 for shorts), the slack of
// ties in the start. D is a number or a vector of them.
template <class D>
inline D signed_start(D sign, D start) {
    return sign * (start * (1.0 - sign * tie));
}
template <class D>
inline auto crosses(D trigger, D signed_factor, D signed_start) {
    return trigger * signed_factor >= signed_start;
}
inline bool long_crossed(double trigger, double mark_factor, double start) {
    return crosses(trigger, mark_factor, signed_start(1.0, start));
}
inline bool short_crossed(double trigger, double mark_factor, double start) {
    return crosses(trigger, -mark_factor, signed_start(-1.0, start));
}

// Calls f with the market as its impact's family knows it.
template <class Function>
inline decltype(auto) with_market(const MarketData& m, double liquidity, Function&& f) {
    return with_impact(m.impact, [&](auto impact) {
        const SupportView* support = m.support.count > 0 ? &m.support : nullptr;
        return f(Market<decltype(impact)>{impact, m.permanent, m.spread, m.mark_weight, liquidity, support});
    });
}

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
