// One number for all bits: fixed jobs through the engine, hashed. Threads and instruction sets must agree within a run,
// and compilers, optimisation levels and platforms on the literal below.
//
//     digest            fails unless all agree
//     digest --print    prints the hash of each part and of all, and compares with nothing
//
// A change that alters bits on purpose takes the new literal from `digest --print`.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "accounts.hpp"
#include "books.hpp"
#include "flushpoint/cascade.hpp"
#include "flushpoint/hidden_book.hpp"
#include "flushpoint/kernels.hpp"
#include "flushpoint/margin.hpp"
#include "flushpoint/math.hpp"
#include "flushpoint/paths.hpp"
#include "flushpoint/random_book.hpp"
#include "flushpoint/response.hpp"
#include "generator.hpp"
#include "histories.hpp"
#include "impacts.hpp"
#include "maps.hpp"

namespace fp = flushpoint;

namespace {

constexpr std::uint64_t expected = 0x2a0019af4dc3e497;

// FNV-1a, 64 bits, over the bytes of each number from the lowest up. All NaNs count as one: their sign and payload
// are the compiler's choice.
class Hash {
public:
    void add(std::uint64_t bits) {
        for (int i = 0; i < 8; ++i, bits >>= 8) state_ = (state_ ^ (bits & 0xff)) * 0x100000001b3;
    }
    void add(std::int64_t x) { add(static_cast<std::uint64_t>(x)); }
    void add(double x) { add(x == x ? fp::math::bits_of(x) : std::uint64_t{0x7ff8000000000000}); }
    template <class T>
    void add_all(const std::vector<T>& values) {
        for (const T& x : values) add(x);
    }
    std::uint64_t value() const { return state_; }

private:
    std::uint64_t state_ = 0xcbf29ce484222325;
};

struct Part {
    std::string name;
    std::uint64_t hash;
};

constexpr double price = 100.0;

std::uint64_t math_bits() {
    Hash hash;
    tests::Generator random(1);
    for (int i = 0; i < 20'000; ++i) {
        const double x = random.between(-760.0, 720.0), y = random.between(-2.0, 2.0), z = random.spread(-1074, 1023);
        for (const double a : {x, y}) {
            hash.add(fp::math::exp(a));
            hash.add(fp::math::expm1(a));
            hash.add(fp::math::log1p(a));
            hash.add(fp::math::mean_decay(a));
            hash.add(fp::math::first_moment_decay(a));
        }
        hash.add(fp::math::log(z));
        hash.add(fp::math::pow(z, y));
        hash.add(fp::math::pow(z, 0.5));
    }
    return hash.value();
}

struct Variant {
    tests::Impact impact;
    fp::MarketData market() const { return impact.market(price, permanent, 0.001, mark_weight); }
    double permanent;
    double mark_weight;
    std::string name() const { return impact.name + (permanent > 0.0 ? " with permanent" : ""); }
};

std::vector<Variant> variants() {
    std::vector<Variant> out;
    for (const tests::Impact& impact : tests::one_of_each()) {
        out.push_back({impact, 0.0, 1.0});
        out.push_back({impact, 1e-4, 0.8});
    }
    return out;
}

std::uint64_t impact_bits(const Variant& v) {
    Hash hash;
    tests::Generator random(2);
    fp::with_market(v.market(), 0.75, [&](const auto& market) {
        for (int i = 0; i < 500; ++i) {
            const double volume = random.between(-300.0, 300.0), quantity = random.between(-100.0, 100.0);
            const double displacement = market.displacement({volume, 0.9 * volume});
            hash.add(displacement);
            hash.add(market.inverse_displacement(0.5 * displacement));
            hash.add(market.mark_factor(displacement));
            hash.add(market.proceeds(price, {volume, 0.9 * volume}, quantity));
        }
    });
    return hash.value();
}

std::uint64_t book_bits(const tests::SortedBook& book) {
    Hash hash;
    for (const tests::SortedSide* side : {&book.longs, &book.shorts}) {
        hash.add_all(side->trigger);
        hash.add_all(side->quantity);
        hash.add_all(side->bankruptcy);
        for (const std::int32_t i : side->index) hash.add(std::int64_t{i});
        hash.add_all(side->quantity_sum);
        hash.add_all(side->notional_sum);
        hash.add(static_cast<std::uint64_t>(side->live));
    }
    return hash.value();
}

std::uint64_t cascade_bits(const Variant& v) {
    Hash hash;
    tests::Generator random(3);
    for (int round = 0; round < 40; ++round) {
        const tests::Positions in = tests::random_positions(random, 10 + random.below(600), price, 0.3, 200.0);
        const tests::SortedBook book(in);
        const fp::Scenario scenario{random.between(-0.3, 0.3), random.between(-30.0, 30.0),
                                    random.below(2) ? 0.0 : random.uniform(), random.between(0.6, 1.5)};
        std::vector<fp::Wave> waves;
        const fp::CascadeTotals t = fp::cascade(book.view(), v.market(), scenario, waves);
        for (const double x : {t.final_price, t.low_price, t.high_price, t.amplification}) hash.add(x);
        hash.add(static_cast<std::uint64_t>(t.exhausted));
        hash.add(static_cast<std::uint64_t>(t.longs_closed));
        hash.add(static_cast<std::uint64_t>(t.shorts_closed));
        for (const fp::Wave& w : waves) {
            for (const double x : {w.price, w.quantity, w.notional}) hash.add(x);
            hash.add(w.count);
        }
        hash.add(fp::cascade_proceeds(book.view(), v.market(), scenario));
        std::vector<double> proceeds(in.size()), shortfall(in.size()), surplus(in.size());
        const fp::Money money = fp::cascade_positions(
            book.view(), v.market(), scenario,
            {book.longs.index.data(), book.shorts.index.data(), book.longs.bankruptcy.data(),
             book.shorts.bankruptcy.data(), proceeds.data(), shortfall.data(), surplus.data()});
        hash.add(money.shortfall);
        hash.add(money.surplus);
        hash.add_all(proceeds);
        hash.add_all(shortfall);
        hash.add_all(surplus);
    }
    return hash.value();
}

void add_rows(Hash& hash, const tests::Steps& steps) {
    for (const fp::Step& row : steps.rows()) {
        hash.add(row.key);
        hash.add(row.price_factor);
        hash.add(row.closed);
    }
}

// Large enough for several blocks of work
std::uint64_t map_bits(const Variant& v, const tests::SortedBook& book, int threads) {
    Hash hash;
    tests::Generator random(4);
    std::vector<double> questions(40'000);
    for (double& q : questions) q = random.between(-0.5, 0.5);
    tests::AnswerColumns answers(questions.size());
    {
        const tests::Steps longs(fp::shock_steps(book.longs.view(), v.market(), false, threads, {}));
        const tests::Steps shorts(fp::shock_steps(book.shorts.view(), v.market(), true, threads, {}));
        add_rows(hash, longs);
        add_rows(hash, shorts);
        fp::answer_shocks(longs.view(), shorts.view(), price, {questions.data(), questions.size()}, answers.view(), threads, {});
        hash.add_all(answers.final_price);
        hash.add_all(answers.closed);
    }
    for (double& q : questions) q *= 1000.0;
    {
        const tests::Steps longs(fp::sale_steps(book.longs.view(), v.market(), false, threads, {}));
        const tests::Steps shorts(fp::sale_steps(book.shorts.view(), v.market(), true, threads, {}));
        add_rows(hash, longs);
        add_rows(hash, shorts);
        fp::answer_sales(longs.view(), shorts.view(), book.view(), v.market(), {questions.data(), questions.size()},
                         answers.view(), threads, {});
        hash.add_all(answers.final_price);
        hash.add_all(answers.closed);
    }
    return hash.value();
}

// The loops of one instruction set, called directly
std::uint64_t kernel_bits(const fp::Kernels& kernel, const Variant& v, const tests::SortedBook& book) {
    Hash hash;
    for (const bool is_short : {false, true}) {
        const fp::SideView side = is_short ? book.shorts.view() : book.longs.view();
        std::vector<double> keys(side.count), factors(side.count);
        kernel.shock_columns(side, v.market(), is_short, 0, side.count, keys.data(), factors.data());
        hash.add_all(keys);
        hash.add_all(factors);
    }
    const tests::Steps longs(fp::shock_steps(book.longs.view(), v.market(), false, 1, {}));
    const tests::Steps shorts(fp::shock_steps(book.shorts.view(), v.market(), true, 1, {}));
    tests::Generator random(5);
    std::vector<double> questions(5000);
    for (double& q : questions) q = random.between(-0.5, 0.5);
    tests::AnswerColumns answers(questions.size());
    kernel.answer_shocks(longs.view(), shorts.view(), price, {questions.data(), questions.size()}, answers.view());
    hash.add_all(answers.final_price);
    hash.add_all(answers.closed);
    return hash.value();
}

std::uint64_t margin_bits(int threads) {
    Hash hash;
    tests::Generator random(7);
    const std::size_t count = 70'000;
    std::vector<std::int8_t> side(count);
    std::vector<double> columns[7], out(count);
    for (std::size_t i = 0; i < count; ++i) {
        side[i] = random.below(2) ? 1 : -1;
        const double quantity = random.spread(-10, 20), entry = random.spread(-10, 17), cost = quantity * entry;
        const double row[7] = {quantity, entry, cost * random.between(-0.1, 1.2), cost * random.between(0.0, 0.1),
                               cost * random.between(-0.1, 0.1), cost * random.between(0.0, 0.1), random.uniform()};
        for (std::size_t c = 0; c < 7; ++c) columns[c].push_back(row[c]);
    }
    const auto column = [&](std::size_t c) { return fp::Numbers{columns[c].data(), 1}; };
    const fp::MarginColumns in{side.data(), 1,         column(0), column(1), column(2),
                               column(3),   column(4), column(5), column(6), count};
    const double floor[] = {0.0, 50.0, 1e3, 1e6}, rate[] = {0.004, 0.005, 0.05, 0.25};
    const double deduction[] = {0.0, 0.05, 45.05, 200'045.05};
    const fp::TierView tiers{floor, rate, deduction, 4};
    for (const bool inverse : {false, true}) {
        for (const auto valuation : {fp::Valuation::mark, fp::Valuation::entry, fp::Valuation::absolute}) {
            for (const auto fee_at : {fp::FeeAt::mark, fp::FeeAt::bankruptcy}) {
                fp::liquidation_prices({tiers, inverse, valuation, fee_at, 6e-4}, in, out.data(), threads, {});
                hash.add_all(out);
            }
        }
        fp::bankruptcy_prices(inverse, 6e-4, in, out.data(), threads, {});
        hash.add_all(out);
    }
    fp::maintenance_margins(tiers, columns[0].data(), count, out.data());
    hash.add_all(out);
    return hash.value();
}

std::uint64_t hidden_book_bits() {
    Hash hash;
    tests::Generator random(8);
    const tests::Classes classes{{0.5, 0.3, 0.2}, {{0.4, 0.05, 0.006}, {fp::math::infinity, 0.048, 0.0055}}};
    for (const double size : {1e-4, 0.01, 0.2}) {
        for (const double activity : {0.0, 1.25}) {
            const tests::History history = tests::random_history(random, 150, size);
            const fp::HiddenBook book =
                fp::infer_book(history.view(), classes.view(), {0.04, activity, 4.0, 2.5e-4, 24}, {});
            for (int s = 0; s < 2; ++s) {
                hash.add_all(book.liquidated[s]);
                hash.add_all(book.quantity[s]);
            }
            hash.add(static_cast<std::int64_t>(book.first_cell));
        }
    }
    return hash.value();
}

// A book of both sides whose distances and sizes follow laws of every kind.
fp::RandomBook random_book() {
    static const std::vector<double> numbers[] = {{0.05}, {0.5, 1.0}, {0.001, 0.3}, {0.01, 1.5}, {0.02, 0.05, 0.05, 0.4},
                                                  {0.03, 0.001, 0.5, 0.5, 0.05, 0.2}, {0.01}};
    constexpr fp::LawKind kinds[] = {fp::LawKind::exponential, fp::LawKind::log_normal, fp::LawKind::uniform,
                                     fp::LawKind::pareto, fp::LawKind::table, fp::LawKind::leveraged, fp::LawKind::constant};
    const auto law = [&](std::size_t k) { return fp::Law({kinds[k], numbers[k].data(), numbers[k].size()}); };
    fp::RandomBook book{{}, 17, 5'000.0};
    for (const bool shorts : {false, true}) {
        for (std::size_t k = 0; k < 6; ++k) book.positions.push_back({shorts, 200.0, 0.0, 0.0, law(k), law((k + 1) % 5)});
        book.positions.push_back({shorts, -1.0, 2e3, 0.2, law(0), law(6)});
        book.positions.push_back({shorts, 1e9, 0.0, 0.0, law(1), law(6)});
    }
    return book;
}

std::uint64_t stress_bits(int threads) {
    Hash hash;
    constexpr std::size_t count = 60;
    std::vector<double> shock(count), sell(count), liquidity(count), out[6];
    std::vector<std::int64_t> counts[3];
    for (auto& column : out) column.resize(count);
    for (auto& column : counts) column.resize(count);
    tests::Generator random(9);
    for (std::size_t i = 0; i < count; ++i) {
        shock[i] = random.between(-0.2, 0.2);
        sell[i] = random.between(-5.0, 5.0);
        liquidity[i] = random.between(0.5, 2.0);
    }
    bool flags[2][count];
    const fp::Scenarios scenarios{{shock.data(), 1}, {sell.data(), 1}, {liquidity.data(), 1}, 0.2, count};
    const fp::StressColumns common{out[0].data(), out[1].data(), out[2].data(),    out[3].data(),
                                   flags[0],      counts[0].data(), counts[1].data(), counts[2].data()};
    const tests::Impact impact = tests::linear(1e-4);
    const fp::RandomBook book = random_book();
    const auto ignore = [](std::size_t) {};
    fp::stress(book, impact.market(price, 0.0, 0.001, 0.9), scenarios, {common, out[4].data(), out[5].data(), flags[1]},
               threads, ignore);
    for (const auto& column : out) hash.add_all(column);
    for (const auto& column : counts) hash.add_all(column);
    for (const auto& flag : flags) {
        for (const bool f : flag) hash.add(std::int64_t{f});
    }
    fp::stress_sums(book, impact.market(price, 0.0, 0.001, 0.9), scenarios, {nullptr, out[0].data(), out[1].data()},
                    threads, ignore);
    hash.add_all(out[0]);
    hash.add_all(out[1]);
    return hash.value();
}

// Each process, in a book as it is, one that lives, and a random one; one with depth that lives and support.
std::uint64_t path_bits(int threads) {
    Hash hash;
    tests::Generator random(10);
    const tests::SortedBook book(tests::random_positions(random, 400, price, 0.1, 50.0));
    const tests::SortedBook nobody(tests::Positions{});
    const tests::Impact impacts[] = {tests::linear(4e-4), tests::one_of_each()[1]};
    constexpr std::int64_t steps = 75;
    constexpr std::size_t count = 19;
    std::vector<double> given(count * steps);
    for (double& r : given) r = random.between(-0.01, 0.01);
    const double law[] = {0.5};
    const fp::Turnover turnover{0.05, 1e-4, {true, true}, fp::Law({fp::LawKind::exponential, law, 1}), {0.5, 1.0},
                                {{0.9, 0.99}, {1.1, 1.01}}};
    const fp::RandomBook drawn = random_book();
    const fp::LivingDepthData depth{2.0, 0.8, 900.0, 0.2, 600.0, 0.5, 0.02};
    const double support[] = {0.98 * price, 0.97 * price, 5.0, 20.0};  // prices, quantities
    std::vector<double> moves(steps, 0.0), sales(steps, 0.0);
    moves[10] = -0.02;
    sales[40] = 3.0;
    std::vector<double> due(steps, 0.0), seldom(steps, 0.0);
    for (std::size_t i = 4; i < due.size(); i += 5) due[i] = 1.0;
    for (std::size_t i = 9; i < seldom.size(); i += 10) seldom[i] = 1.0;
    const fp::Funding funding{due.data(), nullptr, 1e-3, 5e-3, 0.04, 1.0};
    const fp::VolatilityTargeting targeting[] = {{60.0, 0.4, 0.5, 900.0, 1.0, true, seldom.data()},
                                                 {30.0, 0.6, 0.6, 3'600.0, 2.0, false, due.data()}};

    // A bridge over 40 steps, one over 20, and 15 without
    std::vector<double> course(2 * 60);
    for (std::size_t i = 0; i < 60; ++i) {
        course[i] = i < 40 ? -0.001 : 0.002;
        course[60 + i] = static_cast<double>((i < 40 ? 40 : 60) - i);
    }

    const double parameters[7][5] = {{1e-5, 0.004},
                                     {1e-5, 0.003, 0.1, -0.01, 0.02},
                                     {0.0, 0.003, 3.5},
                                     {0.0, 1e-6, 0.1, 0.85, 2e-5},
                                     {1e-5, 7.0},
                                     {0.0},
                                     {0.004, -8e-6}};
    std::vector<double> out[11];
    std::vector<std::int64_t> counts[3];
    for (auto& column : out) column.resize(count);
    for (auto& column : counts) column.resize(count);
    fp::PathColumns columns{};
    columns.final_price = out[0].data();
    columns.low_price = out[1].data();
    columns.high_price = out[2].data();
    columns.low_time = out[3].data();
    columns.long_quantity = out[4].data();
    columns.short_quantity = out[5].data();
    columns.ledger.proceeds = out[6].data();
    columns.long_notional = out[7].data();
    columns.long_count = counts[0].data();
    columns.short_count = counts[1].data();
    columns.waves = counts[2].data();
    columns.targeting_quantity = out[8].data();
    columns.long_open_quantity = out[9].data();
    columns.short_open_quantity = out[10].data();
    const auto run = [&](const fp::PathJob& job) {
        fp::simulate(job, 3, count - 3, columns, {nullptr, 0, nullptr}, threads, [](std::size_t) {});
        for (const auto& column : out) hash.add_all(column);
        for (const auto& column : counts) hash.add_all(column);
    };
    for (int kind = 0; kind < 7; ++kind) {
        const bool row = kind == 4, bridge = kind == 6;
        const fp::ProcessData process{static_cast<fp::ProcessKind>(kind), parameters[kind],
                                      bridge ? course.data() : given.data(), false,
                                      bridge ? 60 : row ? given.size() : static_cast<std::size_t>(steps)};
        for (const tests::Impact& impact : impacts) {
            fp::PathJob job{book.venue_view(), nullptr, nullptr, nullptr, impact.market(price, 1e-5, 0.001, 0.9), process,
                            {11, kind < 4 || bridge}, {60.0, 600.0, steps}, {moves.data(), sales.data()}, false};
            run(job);
            job.turnover = &turnover;
            run(job);
            job.turnover = nullptr;
            job.random = &drawn;
            run(job);
            // With funding and funds, in each of the three.
            job.funding = &funding;
            job.targeting = targeting;
            run(job);
            job.random = nullptr;
            run(job);
            job.turnover = &turnover;
            run(job);
            job.turnover = nullptr;
            job.funding = nullptr;
            job.targeting = {};
            if (kind > 0) continue;
            job.random = nullptr;
            job.depth = &depth;
            job.market.support = {support, support + 2, 2};
            run(job);
            job.depth = nullptr;
            job.market.support.count = 0;
            job.bridge = true;
            job.positions.book.shorts = nobody.view().shorts;
            job.positions.shorts = nobody.venue_view().shorts;
            run(job);
        }
    }
    return hash.value();
}

// Venues that differ in who pays, who is deleveraged, and how much is closed when.
std::vector<fp::VenueData> venues() {
    static const double floor[] = {0.0, 20.0, 80.0}, rate[] = {0.005, 0.01, 0.025}, deduction[] = {0.0, 0.1, 1.3};
    fp::VenueData rich, fees, tiers, target, share;
    rich.fund = 1e9;
    rich.surplus_to = fp::SurplusTo::fund;
    fees.fund = 2.0;
    fees.fee_rate = 0.002;
    fees.fee_to_fund = true;
    fees.adl = fp::AdlRule::socialised;
    tiers.fund = 5.0;
    tiers.close = fp::CloseRule::tier_step_down;
    tiers.tiers = {floor, rate, deduction, 3};
    tiers.adl = fp::AdlRule::queue_margin_ratio;
    tiers.adl_at_mark = true;
    target.close = fp::CloseRule::fraction;
    target.target = 1.2;
    target.surplus_to = fp::SurplusTo::venue;
    target.adl = fp::AdlRule::water_filling;
    share.close = fp::CloseRule::fraction;
    share.fraction = 0.3;
    share.fee_rate = 0.001;
    share.whole_below = 10.0;
    share.adl = fp::AdlRule::pro_rata_profit;
    std::vector<fp::VenueData> out{rich, fees, tiers, target, share};
    for (const auto adl : {fp::AdlRule::queue, fp::AdlRule::queue_price_ratio, fp::AdlRule::list_order, fp::AdlRule::pro_rata}) {
        out.push_back({});
        out.back().fund = 1.0;
        out.back().adl = adl;
    }
    return out;
}

void add_ledger(Hash& hash, const fp::Ledger& ledger) {
    double numbers[16];
    std::int64_t count = 0;
    std::size_t used = 0;
    fp::LedgerColumns columns{};
    fp::LedgerColumns::for_each(columns, [&](const char*, auto*& at) {
        if constexpr (std::is_same_v<decltype(at), double*&>) {
            at = numbers + used++;
        } else {
            at = &count;
        }
    });
    columns.write(0, ledger);
    for (std::size_t i = 0; i < used; ++i) hash.add(numbers[i]);
    hash.add(count);
}

tests::Positions positions_with_entries(tests::Generator& random, std::size_t count) {
    tests::Positions in = tests::random_positions(random, count, price, 0.25, 80.0);
    for (std::size_t i = 0; i < count; ++i) in.entry.push_back(price * random.between(0.85, 1.15));
    return in;
}

std::uint64_t venue_cascade_bits(const Variant& v) {
    Hash hash;
    tests::Generator random(12);
    for (const fp::VenueData& venue : venues()) {
        for (int round = 0; round < 6; ++round) {
            const tests::Positions in = positions_with_entries(random, 10 + random.below(300));
            const tests::SortedBook book(in);
            const fp::Scenario scenario{random.between(-0.2, 0.2), random.between(-10.0, 10.0),
                                        random.below(2) ? 0.0 : random.uniform(), random.between(0.6, 1.5)};
            std::vector<fp::Wave> waves;
            std::vector<double> told[7];
            for (auto& column : told) column.resize(in.size());
            fp::PositionLedger positions{told[0].data(), told[1].data(), told[2].data(), told[3].data(),
                                         told[4].data(), told[5].data(), told[6].data()};
            for (const bool each : {false, true}) {
                const fp::VenueOutcome out =
                    fp::cascade(book.venue_view(), v.market(), venue, scenario, &waves, each ? &positions : nullptr, [] {});
                add_ledger(hash, out.ledger);
                for (const fp::Amount* side : {&out.longs, &out.shorts}) {
                    hash.add(side->count);
                    hash.add(side->quantity);
                    hash.add(side->notional);
                }
                hash.add(out.totals.final_price);
                hash.add(out.totals.waves);
            }
            for (const auto& column : told) hash.add_all(column);
            for (const fp::Wave& w : waves) {
                for (const double x : {w.price, w.quantity, w.notional}) hash.add(x);
                hash.add(w.count);
            }
        }
    }
    return hash.value();
}

std::uint64_t venue_bits(int threads) {
    Hash hash;
    tests::Generator random(13);
    const tests::SortedBook book(positions_with_entries(random, 500));
    const tests::Impact impact = tests::one_of_each()[2];
    constexpr std::size_t count = 40;
    constexpr std::int64_t steps = 60;
    std::vector<double> shock(count), numbers[24], returns(count * steps);
    std::vector<std::int64_t> counts[4];
    for (double& s : shock) s = random.between(-0.3, 0.3);
    for (double& r : returns) r = random.between(-0.02, 0.02);
    const std::vector<double> due(steps, 1.0);
    const fp::Funding funding{due.data(), nullptr, 1e-3, 5e-3, 0.04, 1.0};
    for (auto& column : numbers) column.resize(count);
    for (auto& column : counts) column.resize(count);
    bool exhausted[count];
    const double one = 1.0, none = 0.0;
    const auto ignore = [](std::size_t) {};
    fp::LedgerColumns ledger{};
    std::size_t used = 8;
    fp::LedgerColumns::for_each(ledger, [&](const char*, auto*& at) {
        if constexpr (std::is_same_v<decltype(at), double*&>) {
            at = numbers[used++].data();
        } else {
            at = counts[3].data();
        }
    });
    const auto add = [&] {
        for (const auto& column : numbers) hash.add_all(column);
        for (const auto& column : counts) hash.add_all(column);
    };
    for (fp::VenueData venue : venues()) {
        fp::stress(book.venue_view(), impact.market(price, 1e-5, 0.001, 0.9), venue,
                   {{shock.data(), 1}, {&none, 0}, {&one, 0}, 0.2, count},
                   {{numbers[0].data(), numbers[1].data(), numbers[2].data(), numbers[3].data(), exhausted,
                     counts[0].data(), counts[1].data(), counts[2].data()},
                    numbers[4].data(), numbers[5].data(), numbers[6].data(), numbers[7].data(), ledger},
                   threads, ignore);
        add();
        for (const bool waits : {false, true}) {
            if (waits) {
                venue.pacing = 0.02;
                venue.delay = 90.0;
                venue.price_band = 0.1;
            }
            fp::PathColumns columns{};
            columns.final_price = numbers[0].data();
            columns.low_price = numbers[1].data();
            columns.high_price = numbers[2].data();
            columns.low_time = numbers[3].data();
            columns.long_quantity = numbers[4].data();
            columns.short_quantity = numbers[5].data();
            columns.long_notional = numbers[6].data();
            columns.short_notional = numbers[7].data();
            columns.long_count = counts[0].data();
            columns.short_count = counts[1].data();
            columns.waves = counts[2].data();
            columns.ledger = ledger;
            fp::PathJob job{book.venue_view(), &venue, nullptr, nullptr, impact.market(price, 1e-5, 0.001, 0.9),
                            {fp::ProcessKind::returns, nullptr, returns.data(), false, steps}, {11, false},
                            {60.0, 600.0, steps}, {nullptr, nullptr}, false};
            for (const bool funded : {false, true}) {
                if (funded) job.funding = &funding;
                fp::simulate(job, 0, count, columns, {nullptr, 0, nullptr}, threads, ignore);
                add();
            }
        }
    }
    return hash.value();
}

std::uint64_t account_bits(int threads) {
    Hash hash;
    constexpr std::size_t count = 20, cells = count * tests::World::markets;
    for (const auto close : {fp::AccountClose::all, fp::AccountClose::largest_loss, fp::AccountClose::pro_rata}) {
        const tests::World world(21, 150, close);
        std::vector<double> numbers[9], shock(cells), none(cells, 0.0), whole(cells, 1.0);
        std::vector<std::int64_t> rounds(count);
        bool exhausted[cells];
        for (auto& column : numbers) column.resize(cells);
        tests::Generator random(22);
        for (double& s : shock) s = random.between(-0.3, 0.3);
        fp::AccountColumns out{};
        out.final_price = numbers[0].data();
        out.low_price = numbers[1].data();
        out.high_price = numbers[2].data();
        out.low_time = numbers[3].data();
        out.amplification = numbers[4].data();
        out.long_quantity = numbers[5].data();
        out.short_notional = numbers[6].data();
        out.ledger.surplus = numbers[7].data();
        out.ledger.fund_end = numbers[8].data();
        out.rounds = rounds.data();
        out.exhausted = exhausted;
        const auto add = [&] {
            for (const auto& column : numbers) hash.add_all(column);
            hash.add_all(rounds);
        };
        const auto ignore = [](std::size_t) {};
        fp::stress(world.job, {shock.data(), none.data(), whole.data(), 0.2, count}, out, threads, ignore);
        add();
        fp::simulate(world.paths(300.0), 3, count, out, threads, ignore);
        add();
    }
    return hash.value();
}

// The hash that all of `hashes` share; says so on stderr where they do not.
std::uint64_t common(const std::string& what, const std::vector<Part>& hashes, bool& agree) {
    for (const Part& h : hashes) {
        if (h.hash == hashes[0].hash) continue;
        agree = false;
        std::fprintf(stderr, "%s: %s differs from %s\n", what.c_str(), h.name.c_str(), hashes[0].name.c_str());
    }
    return hashes[0].hash;
}

}  // namespace

int main(int argc, char** argv) {
    const bool print = argc > 1 && std::strcmp(argv[1], "--print") == 0;
    constexpr int thread_counts[] = {1, 2, 7};
    bool agree = true;
    std::vector<Part> parts{{"math", math_bits()}};

    // Skewed triggers as well as even ones, ties, and positions that can never fire
    tests::Generator random(6);
    tests::Positions in = tests::random_positions(random, 120'000, price, 0.5, 300.0);
    for (std::size_t i = 0; i < in.size(); i += 7) in.trigger[i] = in.side[i] > 0 ? random.spread(-900, 6) : random.spread(7, 900);
    std::vector<Part> sorted;
    for (const int threads : thread_counts) {
        sorted.push_back({std::to_string(threads) + " threads", book_bits(tests::SortedBook(in, threads))});
    }
    parts.push_back({"sort and accumulate", common("sort and accumulate", sorted, agree)});

    const tests::SortedBook book(in);
    const fp::KernelList kernels = fp::available_kernels();
    for (const Variant& v : variants()) {
        const std::string name = v.name();
        parts.push_back({"impact: " + name, impact_bits(v)});
        parts.push_back({"cascade: " + name, cascade_bits(v)});
        parts.push_back({"venue: " + name, venue_cascade_bits(v)});
        std::vector<Part> maps, tables;
        for (const int threads : thread_counts) {
            maps.push_back({std::to_string(threads) + " threads", map_bits(v, book, threads)});
        }
        parts.push_back({"map: " + name, common("map: " + name, maps, agree)});
        for (std::size_t k = 0; k < kernels.count; ++k) {
            tables.push_back({kernels.items[k]->name, kernel_bits(*kernels.items[k], v, book)});
        }
        parts.push_back({"kernels: " + name, common("kernels: " + name, tables, agree)});
    }

    const auto for_each_count = [&](const std::string& name, std::uint64_t (*bits)(int)) {
        std::vector<Part> hashes;
        for (const int threads : thread_counts) hashes.push_back({std::to_string(threads) + " threads", bits(threads)});
        parts.push_back({name, common(name, hashes, agree)});
    };
    for_each_count("margin", margin_bits);
    for_each_count("stress", stress_bits);
    for_each_count("paths", path_bits);
    for_each_count("venue", venue_bits);
    for_each_count("accounts", account_bits);
    parts.push_back({"hidden book", hidden_book_bits()});

    Hash all;
    for (const Part& part : parts) all.add(part.hash);
    const bool equal = all.value() == expected;
    if (print || !equal) {
        for (const Part& part : parts) {
            std::printf("%016llx  %s\n", static_cast<unsigned long long>(part.hash), part.name.c_str());
        }
    }
    std::printf("%016llx\n", static_cast<unsigned long long>(all.value()));
    if (print) return 0;
    if (!equal) {
        std::fprintf(stderr, "the digest is not the one in digest.cpp, %016llx\n", static_cast<unsigned long long>(expected));
    }
    return agree && equal ? 0 : 1;
}
