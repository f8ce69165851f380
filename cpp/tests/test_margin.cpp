// Margin arithmetic: venues' textbook cases by hand, and the definition itself at the price that comes back.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "flushpoint/margin.hpp"
#include "flushpoint/math.hpp"
#include "generator.hpp"

namespace fp = flushpoint;

namespace {

constexpr double inf = fp::math::infinity;

struct Tiers {
    std::vector<double> floor, rate, deduction;

    Tiers(std::vector<double> floors, std::vector<double> rates) : floor(floors), rate(rates), deduction(rates.size(), 0.0) {
        for (std::size_t k = 1; k < rate.size(); ++k) deduction[k] = deduction[k - 1] + floor[k] * (rate[k] - rate[k - 1]);
    }
    fp::TierView view() const { return {floor.data(), rate.data(), deduction.data(), floor.size()}; }
    double maintenance(double notional) const {
        double out;
        fp::maintenance_margins(view(), &notional, 1, &out);
        return out;
    }
};

const Tiers flat({0.0}, {0.005});
const Tiers steep({0.0, 1.0, 10.0, 100.0, 1e3, 1e4}, {0.0, 0.01, 0.02, 0.05, 0.25, 0.5});

struct Position {
    std::int8_t side = 1;
    double quantity = 1.0, entry = 100.0, margin = 10.0, maintenance = 0.0, pnl = 0.0, needed = 0.0, share = 1.0;

    fp::MarginColumns columns() const {
        return {&side, 1, {&quantity, 1}, {&entry, 1}, {&margin, 1}, {&maintenance, 1}, {&pnl, 1}, {&needed, 1}, {&share, 1}, 1};
    }
    double liquidation(const fp::MarginRule& rule) const {
        double out;
        fp::liquidation_prices(rule, columns(), &out, 1, {});
        return out;
    }
    double bankruptcy(bool inverse, double fee) const {
        double out;
        fp::bankruptcy_prices(inverse, fee, columns(), &out, 1, {});
        return out;
    }
};

fp::MarginRule at_mark(const Tiers& tiers, bool inverse = false, double fee = 0.0) {
    return {tiers.view(), inverse, fp::Valuation::mark, fp::FeeAt::mark, fee};
}

// Equity less what is required, at a price.
long double rest(const fp::MarginRule& rule, const Tiers& tiers, const Position& p, long double price) {
    const long double notional = rule.inverse ? p.quantity / price : p.quantity * price;
    const long double gain = p.side * static_cast<long double>(p.quantity) *
                             (rule.inverse ? 1.0L / p.entry - 1.0L / price : price - p.entry);
    const double at_entry = rule.inverse ? p.quantity / p.entry : p.quantity * p.entry;
    long double required = 0.0L;
    switch (rule.valuation) {
        case fp::Valuation::mark: required = tiers.maintenance(static_cast<double>(notional)); break;
        case fp::Valuation::entry: required = tiers.maintenance(at_entry); break;
        case fp::Valuation::absolute: required = p.maintenance; break;
    }
    if (rule.fee_at == fp::FeeAt::mark) {
        required += rule.fee_rate * notional;
    } else if (rule.fee_rate > 0.0) {
        Position whole = p;
        whole.share = 1.0;
        const double bankruptcy = whole.bankruptcy(rule.inverse, rule.fee_rate);
        required += rule.fee_rate * (rule.inverse ? p.quantity / bankruptcy : p.quantity * bankruptcy);
    }
    return p.margin + p.pnl - p.needed + gain - required;
}

}  // namespace

TEST_CASE("maintenance, tier by tier") {
    const Tiers tiers({0.0, 300.0, 800.0}, {0.004, 0.005, 0.0065});
    CHECK(tiers.deduction[1] == doctest::Approx(0.3));
    CHECK(tiers.deduction[2] == doctest::Approx(1.5));
    CHECK(tiers.maintenance(0.0) == 0.0);
    CHECK(tiers.maintenance(300.0) == doctest::Approx(1.2));
    CHECK(tiers.maintenance(800.0) == doctest::Approx(3.7));
    CHECK(tiers.maintenance(1000.0) == doctest::Approx(5.0));
    const Tiers jump({0.0, 100.0}, {0.01, 0.5});
    CHECK(jump.maintenance(100.0) == 1.0);  // a tier ends with its cap
}

TEST_CASE("prices by hand") {
    const Position buyer, seller{.side = -1};
    CHECK(buyer.liquidation(at_mark(flat)) == doctest::Approx(90.0 / 0.995));
    CHECK(seller.liquidation(at_mark(flat)) == doctest::Approx(110.0 / 1.005));
    CHECK(buyer.liquidation(at_mark(flat, false, 0.001)) == doctest::Approx(90.0 / 0.994));
    CHECK(buyer.bankruptcy(false, 0.0) == doctest::Approx(90.0));
    CHECK(seller.bankruptcy(false, 0.01) == doctest::Approx(110.0 / 1.01));
    // Maintenance of the notional at entry, 0.5: the fee at the mark, or reserved at the bankruptcy price of 90 / 0.99
    fp::MarginRule at_entry{flat.view(), false, fp::Valuation::entry, fp::FeeAt::mark, 0.01};
    CHECK(buyer.liquidation(at_entry) == doctest::Approx(90.5 / 0.99));
    at_entry.fee_at = fp::FeeAt::bankruptcy;
    CHECK(buyer.liquidation(at_entry) == doctest::Approx(90.5 + 0.01 * 90.0 / 0.99));
    const fp::MarginRule given{{nullptr, nullptr, nullptr, 0}, false, fp::Valuation::absolute, fp::FeeAt::mark, 0.0};
    CHECK(Position{.maintenance = 2.0}.liquidation(given) == doctest::Approx(92.0));
    // Inverse: 1,000 of contracts at 100 are 10 coins; one coin of margin.
    const Position coins{.quantity = 1000.0, .margin = 1.0};
    CHECK(coins.liquidation(at_mark(flat, true)) == doctest::Approx(1005.0 / 11.0));
    CHECK(coins.bankruptcy(true, 0.0) == doctest::Approx(1000.0 / 11.0));
    // A share of the collateral and what the account's other positions add and need
    const Position crossed{.margin = 10.0, .pnl = 6.0, .needed = 4.0, .share = 0.25};
    CHECK(crossed.bankruptcy(false, 0.0) == doctest::Approx(97.0));
    CHECK(crossed.liquidation(at_mark(flat)) == doctest::Approx(88.0 / 0.995));
}

TEST_CASE("never, and at any price") {
    CHECK(Position{.margin = 100.0}.liquidation(at_mark(flat)) == 0.0);
    CHECK(Position{.side = -1, .margin = -101.0}.liquidation(at_mark(flat)) == 0.0);
    CHECK(Position{.side = -1, .quantity = 1000.0, .margin = 10.0}.liquidation(at_mark(flat, true)) == inf);
    CHECK(Position{.quantity = 1000.0, .margin = -10.0}.liquidation(at_mark(flat, true)) == inf);
}

TEST_CASE("at the liquidation price equity equals what is required, in every variant") {
    tests::Generator random(1);
    int found = 0;
    for (int round = 0; round < 4000; ++round) {
        const Tiers& tiers = round % 2 ? flat : steep;
        const fp::MarginRule rule{tiers.view(), random.below(2) == 1, static_cast<fp::Valuation>(random.below(3)),
                                  static_cast<fp::FeeAt>(random.below(2)), random.below(2) ? 0.0 : 6e-4};
        Position p{.side = static_cast<std::int8_t>(random.below(2) ? 1 : -1), .quantity = random.spread(-10, 13),
                   .entry = random.spread(-5, 16)};
        const double notional = rule.inverse ? p.quantity / p.entry : p.quantity * p.entry;
        p.margin = notional * random.between(0.004, 1.2);
        p.maintenance = notional * random.between(0.0, 0.02);
        p.pnl = p.margin * random.between(-0.2, 0.5);
        p.needed = p.margin * random.between(0.0, 0.2);
        const double price = p.liquidation(rule);
        if (!(price > 0.0 && price < inf)) continue;
        ++found;
        const double scale = notional + (rule.inverse ? p.quantity / price : p.quantity * price) + std::abs(p.margin);
        CHECK(std::abs(static_cast<double>(rest(rule, tiers, p, price))) <= 1e-13 * scale);
        // On the other side of it is the loss.
        CHECK(rest(rule, tiers, p, price * (1.0 - 1e-6 * p.side)) < rest(rule, tiers, p, price * (1.0 + 1e-6 * p.side)));
    }
    CHECK(found > 3000);
}

TEST_CASE("more margin, further away; the liquidation price before the bankruptcy price") {
    for (const bool inverse : {false, true}) {
        for (const std::int8_t side : {std::int8_t{1}, std::int8_t{-1}}) {
            Position p{.side = side, .quantity = 50.0};
            const double notional = inverse ? 0.5 : 5000.0;
            double before = side > 0 ? inf : 0.0;
            for (int i = 1; i < 200; ++i) {
                p.margin = notional * 0.004 * i;
                const double price = p.liquidation(at_mark(steep, inverse));
                CAPTURE(i);
                CHECK(side * (before - price) >= 0.0);
                if (price < inf && price > 0.0) CHECK(side * (price - p.bankruptcy(inverse, 0.0)) >= -1e-12 * price);
                before = price;
            }
        }
    }
}

TEST_CASE("columns of many, numbers for all, any number of threads") {
    tests::Generator random(2);
    const std::size_t count = 100'000;
    std::vector<std::int8_t> side(count);
    std::vector<double> margin(count);
    for (std::size_t i = 0; i < count; ++i) {
        side[i] = random.below(2) ? 1 : -1;
        margin[i] = random.between(0.5, 50.0);
    }
    const Position one{.pnl = 0.25};
    fp::MarginColumns in{side.data(), 1, {&one.quantity, 0}, {&one.entry, 0}, {margin.data(), 1}, {&one.maintenance, 0},
                         {&one.pnl, 0}, {&one.needed, 0}, {&one.share, 0}, count};
    std::vector<double> expected(count), bankrupt(count);
    for (std::size_t i = 0; i < count; ++i) {
        const Position p{.side = side[i], .margin = margin[i], .pnl = 0.25};
        expected[i] = p.liquidation(at_mark(steep));
        bankrupt[i] = p.bankruptcy(false, 1e-3);
    }
    for (const int threads : {1, 2, 7}) {
        std::vector<double> out(count);
        fp::liquidation_prices(at_mark(steep), in, out.data(), threads, {});
        CHECK(tests::same_bits(out, expected));
        fp::bankruptcy_prices(false, 1e-3, in, out.data(), threads, {});
        CHECK(tests::same_bits(out, bankrupt));
    }
}
