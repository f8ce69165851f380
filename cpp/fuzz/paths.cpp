// Paths in time, with every process and all that may live beside a book; shards and replays give the same bits.
//
// Contract: a step's parameters finite, deviations at least 0, more than 2 degrees of freedom; the clock's step positive;
// rates of funding above -1; all numbers of living depth and of volatility targeting positive.
#include "flushpoint/paths.hpp"

#include "input.hpp"
#include "random.hpp"
#include "venue.hpp"

namespace {

using namespace fuzz;

constexpr std::size_t paths = 9;  // more than lanes
constexpr std::int64_t most_steps = 40;  // more than a block

struct Columns {
    std::vector<double> numbers[32];
    std::vector<std::int64_t> counts[8];
    bool exhausted[paths]{}, runaway[paths]{};
    fp::PathColumns view{};

    explicit Columns(bool venue, bool stops) {
        std::size_t used = 0, counted = 0;
        const auto take = [&](auto*& at) {
            if constexpr (std::is_same_v<decltype(at), double*&>) {
                numbers[used].resize(paths);
                at = numbers[used++].data();
            } else {
                counts[counted].resize(paths);
                at = counts[counted++].data();
            }
        };
        for (double** at : {&view.final_price, &view.low_price, &view.high_price, &view.low_time, &view.long_quantity,
                            &view.short_quantity, &view.long_notional, &view.short_notional}) {
            take(*at);
        }
        for (std::int64_t** at : {&view.long_count, &view.short_count, &view.waves}) take(*at);
        view.exhausted = exhausted;
        view.runaway = runaway;
        if (stops) {
            take(view.stop_count);
            take(view.stop_quantity);
            take(view.stop_notional);
        }
        if (venue) {
            fp::LedgerColumns::for_each(view.ledger, [&](const char*, auto*& at) { take(at); });
        } else {
            take(view.ledger.proceeds);
        }
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input in(data, size);
    Market market(in);
    const auto steps = static_cast<std::int64_t>(1 + in.below(most_steps));
    const auto count = static_cast<std::size_t>(steps);
    std::vector<double> given(paths * count), moves(count), sales(count), due(count), rates(count);
    for (std::size_t i = 0; i < count; ++i) {
        moves[i] = in.below(8) == 0 ? in.between(-0.2, 0.2) : 0.0;
        sales[i] = in.below(8) == 0 ? in.signed_number(10.0) : 0.0;
        due[i] = static_cast<double>(in.flag());
        rates[i] = in.between(-0.05, 0.05);
    }
    for (std::size_t i = 0; i < given.size(); ++i) given[i] = i < 64 ? in.between(-0.05, 0.05) : -given[i - 64];

    const auto kind = static_cast<fp::ProcessKind>(in.below(6));
    const double deviation = in.flag() ? in.between(0.0, 0.05) : in.not_negative(0.01), mean = in.between(-1e-3, 1e-3);
    const double parameters[6][5] = {{mean, deviation},
                                     {mean, deviation, in.between(0.0, 1.0), in.between(-0.1, 0.1), in.between(0.0, 0.1)},
                                     {mean, deviation, in.between(2.01, 30.0)},
                                     {mean, in.between(0.0, 1e-4), in.between(0.0, 1.5), in.between(0.0, 1.0), 1e-5},
                                     {mean, static_cast<double>(1 + in.below(count))},
                                     {}};
    const fp::ProcessData process{kind, parameters[static_cast<std::size_t>(kind)], given.data(), false,
                                  kind == fp::ProcessKind::bootstrap ? given.size() : count};

    const tests::SortedBook book(positions(in, market.data.price, true));
    if (!sums_are_finite(book) || !at_rest(book, market.data.price)) return 0;
    const VenueRules rules(in, true);
    const StopOrders stops(in, book);
    RandomBook drawn(in);
    const double leverages[] = {in.between(0.5, 0.999), in.between(0.5, 0.999)};
    const fp::Turnover turnover{in.between(0.0, 0.05), in.between(0.0, 0.01), {in.flag(), true}, drawn.size(in, in.flag()), {0.5, 1.0},
                                {{leverages[0], leverages[1]}, {2.0 - leverages[0], 2.0 - leverages[1]}}};
    const fp::Funding funding{due.data(), in.flag() ? rates.data() : nullptr, 1e-4, in.not_negative(1e-3), in.between(0.001, 0.999), 0.1};
    const fp::VolatilityTargeting targeting[] = {
        {in.between(0.1, 100.0), in.between(0.01, 2.0), in.between(0.01, 2.0), in.between(1.0, 1e5), in.between(0.1, 3.0), in.flag(), due.data()}};
    const fp::LivingDepthData depth{in.between(0.01, 2.0), in.between(0.0, 3.0), in.between(1.0, 1e5), in.between(0.01, 1.0),
                                    in.flag() ? in.between(0.0, 1e4) : fp::math::infinity, in.between(0.0, 2.0),
                                    std::max(market.data.spread, 0.05)};

    fp::PathJob job{book.venue_view(), nullptr, nullptr, nullptr, market.data, process, {in.below(256), in.flag()},
                    {60.0, in.flag() ? in.positive(600.0) : fp::math::infinity, steps}, {moves.data(), sales.data()}, false};
    switch (in.below(4)) {
        case 0:
            job.venue = &rules.data;
            job.positions = stops.view(book);
            break;
        case 1: job.turnover = &turnover; break;
        case 2: job.random = &drawn.data; break;
        default: break;
    }
    if (in.flag()) job.funding = &funding;
    if (in.flag()) job.targeting = targeting;
    if (in.flag()) job.depth = &depth;
    if (in.flag() && kind == fp::ProcessKind::gbm && !job.random && !job.venue && !job.turnover && !job.depth &&
        job.targeting.empty() && book.shorts.live == 0) {
        job.bridge = true;
    }

    const bool told_apart = job.venue != nullptr;
    const auto ignore = [](std::size_t) {};
    const bool stop_orders = told_apart && job.positions.holds_stops();
    Columns whole(told_apart, stop_orders), parts(told_apart, stop_orders), one(told_apart, stop_orders);
    fp::simulate(job, 0, paths, whole.view, {nullptr, 0, nullptr}, 1, ignore);
    fp::simulate(job, 3, 2, parts.view, {nullptr, 0, nullptr}, 1, ignore);
    for (std::size_t i = 0; i < 2; ++i) {
        for (std::size_t c = 0; c < std::size(whole.numbers); ++c) {
            if (whole.numbers[c].empty()) continue;
            check(same(whole.numbers[c][i + 3], parts.numbers[c][i]), "a shard has the whole's numbers");
        }
        for (std::size_t c = 0; c < std::size(whole.counts); ++c) {
            if (whole.counts[c].empty()) continue;
            check(whole.counts[c][i + 3] == parts.counts[c][i], "a shard has the whole's counts");
        }
    }
    for (std::size_t i = 0; i < paths; ++i) {
        check(!(whole.view.low_price[i] > whole.view.high_price[i]), "prices are in order");
        check(whole.view.waves[i] >= 0 && whole.view.long_count[i] >= 0 && whole.view.short_count[i] >= 0, "counts are at least 0");
    }
    fp::replay(job, 4, one.view, {nullptr, 0, nullptr}, ignore);
    check(same(one.view.final_price[0], whole.view.final_price[4]), "a replay ends where the path did");
    return 0;
}
