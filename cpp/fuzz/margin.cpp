// Margin arithmetic, auto-deleveraging and the hidden book.
//
// Contract: tiers' floors rising from 0, rates not falling, below 1; collateral finite; entry prices and quantities positive,
// though arithmetic takes any numbers and tells whether they were good. Histories: prices positive, low <= open, close <=
// high.
#include <numeric>

#include "flushpoint/deleveraging.hpp"
#include "flushpoint/margin.hpp"
#include "histories.hpp"
#include "input.hpp"
#include "venue.hpp"

namespace {

using namespace fuzz;

void check_margins(Input& in) {
    const VenueRules rules(in);
    const fp::TierView tiers = rules.data.tiers;
    constexpr std::size_t count = 35;  // two blocks of vectors, and some left over
    std::vector<std::int8_t> side(count);
    std::vector<double> columns[7], whole(count), each(1);
    for (std::size_t i = 0; i < count; ++i) {
        side[i] = in.flag() ? 1 : -1;
        const double quantity = in.positive(10.0), entry = in.positive(100.0);
        const double row[7] = {quantity, entry, in.signed_number(500.0), in.not_negative(10.0), in.signed_number(10.0),
                               in.not_negative(10.0), in.between(0.0, 1.0)};
        for (std::size_t c = 0; c < 7; ++c) columns[c].push_back(row[c]);
    }
    const auto from = [&](std::size_t i, std::size_t n) {
        const auto column = [&](std::size_t c) { return fp::Numbers{columns[c].data() + i, 1}; };
        return fp::MarginColumns{side.data() + i, 1,         column(0), column(1), column(2),
                                 column(3),       column(4), column(5), column(6), n};
    };
    const fp::MarginRule rule{tiers, in.flag(), static_cast<fp::Valuation>(in.below(3)), static_cast<fp::FeeAt>(in.below(2)),
                              in.between(0.0, 0.3)};
    fp::liquidation_prices(rule, from(0, count), whole.data(), 1, {});
    for (std::size_t i = 0; i < count; ++i) {
        fp::liquidation_prices(rule, from(i, 1), each.data(), 1, {});
        check(same(each[0], whole[i]), "a position's price is its own affair");
        check(!(whole[i] < 0.0), "prices are at least 0");
        const double trigger = fp::trigger_price(tiers, side[i] < 0, columns[0][i], columns[1][i]);
        check(!(trigger < 0.0), "triggers are at least 0");
    }
    fp::bankruptcy_prices(rule.inverse, rule.fee_rate, from(0, count), whole.data(), 1, {});
    fp::maintenance_margins(tiers, columns[0].data(), count, whole.data());
    for (std::size_t i = 0; i < count; ++i) {
        if (!in.extreme()) check(whole[i] >= -1e-9, "maintenance is at least 0");
        check(fp::tier_of(tiers, columns[0][i]) < tiers.count, "a notional has a tier");
    }
}

void check_deleveraging(Input& in) {
    std::vector<fp::Candidate> candidates;
    for (std::size_t left = in.below(20); left > 0; --left) {
        candidates.push_back({in.positive(1.0), in.positive(100.0), in.positive(90.0), in.positive(95.0),
                              static_cast<std::int32_t>(candidates.size())});
    }
    const auto rule = static_cast<fp::AdlRule>(1 + in.below(7));
    const double price = in.positive(100.0), needed = in.positive(10.0);
    std::vector<double> closed(candidates.size());
    const double sum = fp::deleverage(rule, price, in.flag(), needed, candidates, closed);
    check(!(sum > needed * (1.0 + 1e-9)), "no more is closed than needed");
    for (std::size_t i = 0; i < closed.size(); ++i) {
        check(closed[i] >= 0.0 && closed[i] <= candidates[i].quantity, "nobody closes more than he holds");
    }
    if (!in.extreme()) check(near(std::accumulate(closed.begin(), closed.end(), 0.0), sum, sum), "the parts add up");
}

void check_hidden_book(Input& in) {
    tests::History history;
    double price = 100.0, interest = 1e6;
    for (std::size_t rows = 1 + in.below(12); rows > 0; --rows) {
        const double close = price * in.between(0.8, 1.25);
        const double high = std::max(price, close) * in.between(1.0, 1.2), low = std::min(price, close) * in.between(0.8, 1.0);
        interest = in.flag() ? interest * in.between(0.5, 2.0) : in.not_negative(1e6);
        history.add(price, close, high, low, std::min(interest, 1e100));
        price = close;
    }
    const tests::Classes classes{{0.6, 0.4}, {{in.between(0.01, 0.5), in.between(0.01, 11.0)},
                                              {fp::math::infinity, in.between(0.01, 0.5)}}};
    const fp::HiddenBook book = fp::infer_book(history.view(), classes.view(),
                                               {in.between(0.0, 1.0), in.between(0.0, 2.0), in.between(-5.0, 5.0), 0.005, 8}, {});
    for (const auto& liquidated : book.liquidated) {
        check(liquidated.size() == history.open.size(), "every row has its liquidations");
        for (const double x : liquidated) check(x >= 0.0, "liquidations are at least 0");
    }
    for (const auto& quantity : book.quantity) {
        for (const double x : quantity) check(x >= 0.0, "quantities are at least 0");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input in(data, size);
    switch (in.below(3)) {
        case 0: check_margins(in); break;
        case 1: check_deleveraging(in); break;
        default: check_hidden_book(in);
    }
    return 0;
}
