// Bindings of all but venues: arrays in, views, the GIL released, arrays out. No arithmetic.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "accounts.hpp"
#include "process.hpp"
#include "venue.hpp"
#include "flushpoint/book.hpp"
#include "flushpoint/bounds.hpp"
#include "flushpoint/cascade.hpp"
#include "flushpoint/hidden_book.hpp"
#include "flushpoint/kernels.hpp"
#include "flushpoint/margin.hpp"
#include "flushpoint/parallel.hpp"
#include "flushpoint/paths.hpp"
#include "flushpoint/random_book.hpp"
#include "flushpoint/response.hpp"
#include "flushpoint/stress.hpp"

namespace flushpoint::bind {

namespace {

using Rows = py::array_t<fp::Step, py::array::c_style>;

// (rows, first, top, scale)
struct Steps {
    Rows rows;
    Indices first;
    fp::StepsView view;

    explicit Steps(const py::tuple& items)
        : rows(array_at<Rows>(items, 0)),
          first(array_at<Indices>(items, 1)),
          view{rows.data(), length(rows) - 1, first.data(), length(first) - 1, items[2].cast<double>(),
               items[3].cast<double>()} {
        require(rows.size() > 0 && first.size() > 1, "_core: the steps are empty");
    }
};

// Of an array of any shape.
bool all_between(const Doubles& values, double above, double below) {
    const auto count = static_cast<std::size_t>(values.size());
    const double* from = values.data();
    const py::gil_scoped_release release;
    return fp::all_between(from, count, above, below);
}

py::tuple sort_book(const Sides& side, const Doubles& quantity, const Doubles& trigger,
                    const py::object& bankruptcy_or_none, int threads) {
    const std::size_t n = length(side);
    std::optional<Doubles> bankruptcy;
    if (!bankruptcy_or_none.is_none()) bankruptcy = array_of<Doubles>(bankruptcy_or_none);
    require(length(quantity) == n && length(trigger) == n && (!bankruptcy || length(*bankruptcy) == n),
            "_core: the columns of a book must have one length");
    require(n <= 0x7fffffff, "_core: a book holds at most 2^31 - 1 positions");
    const fp::PositionColumns in{side.data(), quantity.data(), trigger.data(), bankruptcy ? bankruptcy->data() : nullptr, n};

    struct Columns {
        Doubles trigger, quantity, quantity_sum, notional_sum;
        std::optional<Doubles> bankruptcy;
        Indices index;
        std::size_t live = 0;

        Columns(std::size_t count, bool bankrupt)
            : trigger(doubles(count)),
              quantity(doubles(count)),
              quantity_sum(doubles(count + 1)),
              notional_sum(doubles(count + 1)),
              index(static_cast<py::ssize_t>(count)) {
            if (bankrupt) bankruptcy = doubles(count);
        }
        fp::SideColumns view() {
            return {trigger.mutable_data(), quantity.mutable_data(), bankruptcy ? bankruptcy->mutable_data() : nullptr,
                    index.mutable_data()};
        }
        py::tuple result() const {
            const py::object bankrupt = bankruptcy ? py::object(frozen(*bankruptcy)) : py::none();
            return py::make_tuple(frozen(trigger), frozen(quantity), bankrupt, frozen(index), frozen(quantity_sum),
                                  frozen(notional_sum), live);
        }
    };
    const std::size_t longs = fp::count_longs(in.side, n);
    Columns sides[2] = {Columns(longs, bankruptcy.has_value()), Columns(n - longs, bankruptcy.has_value())};
    const fp::SideColumns views[2] = {sides[0].view(), sides[1].view()};
    double* sums[2][2];
    for (int s = 0; s < 2; ++s) {
        sums[s][0] = sides[s].quantity_sum.mutable_data();
        sums[s][1] = sides[s].notional_sum.mutable_data();
    }
    {
        const py::gil_scoped_release release;
        const int workers = fp::resolve_threads(threads);
        fp::sort_positions(in, views[0], views[1], workers, check_signals);
        const std::size_t counts[2] = {longs, n - longs};
        fp::parallel_for(2, n < 100'000 ? 1 : workers, check_signals, [&](std::size_t s) {
            sides[s].live = fp::count_live(views[s].trigger, counts[s]);
            fp::accumulate(views[s].quantity, views[s].trigger, counts[s], sides[s].live, sums[s][0], sums[s][1]);
        });
    }
    return py::make_tuple(sides[0].result(), sides[1].result());
}

// How many positions of one side are crossed at each price, nothing having been traded.
py::array_t<std::int64_t> crossed(const py::tuple& side, bool shorts, const Doubles& prices) {
    const Side s(side);
    const std::size_t n = length(prices);
    py::array_t<std::int64_t> out(static_cast<py::ssize_t>(n));
    const double* price = prices.data();
    std::int64_t* to = out.mutable_data();
    const py::gil_scoped_release release;
    for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<std::int64_t>(fp::crossed(s.view, shorts, price[i]));
    return out;
}

py::tuple cascade(const py::tuple& longs, const py::tuple& shorts, const py::tuple& market, double shock, double sell,
                  double refill) {
    const Book book(longs, shorts);
    const Market m(market);
    std::vector<fp::Wave> waves;
    fp::CascadeTotals t;
    {
        const py::gil_scoped_release release;
        t = fp::cascade(book.view, m.data, {shock, sell, refill}, waves);
    }
    return py::make_tuple(t.final_price, t.low_price, t.high_price, t.amplification, t.exhausted, t.longs_closed,
                          t.shorts_closed, copied(waves), t.support_quantity);
}

double cascade_proceeds(const py::tuple& longs, const py::tuple& shorts, const py::tuple& market, double shock,
                        double sell, double refill) {
    const Book book(longs, shorts);
    const Market m(market);
    const py::gil_scoped_release release;
    return fp::cascade_proceeds(book.view, m.data, {shock, sell, refill});
}

// Writes into proceeds, shortfall and surplus, one entry a position in input order.
void cascade_positions(const py::tuple& longs, const py::tuple& shorts, const py::tuple& positions,
                       const py::tuple& market, double shock, double sell, double refill, Doubles proceeds,
                       Doubles shortfall, Doubles surplus) {
    const Book book(longs, shorts);
    const Market m(market);
    const Positions columns(book, positions);
    const std::size_t n = length(columns.long_index) + length(columns.short_index);
    require(length(proceeds) == n && length(shortfall) == n && length(surplus) == n,
            "_core: the columns of a result do not fit the book");
    fp::PositionOutcome out = columns.outcome();
    for (const Indices* index : {&columns.long_index, &columns.short_index}) {
        for (py::ssize_t i = 0; i < index->size(); ++i) {
            require(index->data()[i] >= 0 && static_cast<std::size_t>(index->data()[i]) < n, "_core: an index is out of range");
        }
    }
    out.proceeds = proceeds.mutable_data();
    out.shortfall = shortfall.mutable_data();
    out.surplus = surplus.mutable_data();
    const py::gil_scoped_release release;
    fp::cascade_positions(book.view, m.data, {shock, sell, refill}, out);
}

py::tuple stress(const py::tuple& longs, const py::tuple& shorts, const py::tuple& market, const py::tuple& scenarios,
                 int threads, const py::object& progress) {
    const Book book(longs, shorts);
    const Market m(market);
    const Scenarios in(scenarios);
    StressColumns columns(in.view.count);
    const fp::StressColumns out = columns.view();
    {
        const py::gil_scoped_release release;
        fp::stress(book.view, m.data, in.view, out, fp::resolve_threads(threads), progress_of(progress, in.view.count));
    }
    return columns.result();
}

Doubles stress_proceeds(const py::tuple& longs, const py::tuple& shorts, const py::tuple& market,
                        const py::tuple& scenarios, int threads) {
    const Book book(longs, shorts);
    const Market m(market);
    const Scenarios in(scenarios);
    Doubles out = doubles(in.view.count);
    double* to = out.mutable_data();
    {
        const py::none nobody;
        const py::gil_scoped_release release;
        fp::stress_proceeds(book.view, m.data, in.view, to, fp::resolve_threads(threads),
                            progress_of(nobody, in.view.count));
    }
    return out;
}

// (kind, parameters)
fp::Law law_of(const py::tuple& items, std::vector<Doubles>& kept) {
    kept.push_back(array_at<Doubles>(items, 1));
    const fp::LawData data{static_cast<fp::LawKind>(items[0].cast<int>()), kept.back().data(), length(kept.back())};
    std::size_t wanted = 1;
    switch (data.kind) {
        case fp::LawKind::constant:
        case fp::LawKind::exponential: wanted = 1; break;
        case fp::LawKind::uniform:
        case fp::LawKind::log_normal:
        case fp::LawKind::pareto: wanted = 2; break;
        case fp::LawKind::table: wanted = std::max<std::size_t>(data.count, 1); break;
        case fp::LawKind::leveraged: wanted = std::max<std::size_t>(data.count / 2 * 2, 4); break;
        default: throw std::invalid_argument("_core: no such law");
    }
    require(data.count == wanted, "_core: the parameters of a law do not fit its kind");
    return fp::Law(data);
}

// A tuple of (shorts, count or -1, density, extent, distance, quantity)
struct RandomBook {
    std::vector<Doubles> kept;
    fp::RandomBook book;

    RandomBook(const py::tuple& parts, std::uint64_t seed, double most_closed) : book{{}, seed, most_closed} {
        for (const py::handle& part : parts) {
            const auto items = part.cast<py::tuple>();
            book.positions.push_back({items[0].cast<bool>(), items[1].cast<double>(), items[2].cast<double>(),
                                      items[3].cast<double>(), law_of(items[4].cast<py::tuple>(), kept),
                                      law_of(items[5].cast<py::tuple>(), kept)});
        }
    }
};

// The columns of stress, then long_quantity, short_quantity, runaway
py::tuple stress_random(const py::tuple& parts, std::uint64_t seed, double most_closed, const py::tuple& market,
                        const py::tuple& scenarios, int threads, const py::object& progress) {
    const RandomBook random(parts, seed, most_closed);
    const Market m(market);
    const Scenarios in(scenarios);
    StressColumns columns(in.view.count);
    Doubles quantities[2] = {doubles(in.view.count), doubles(in.view.count)};
    py::array_t<bool> runaway(static_cast<py::ssize_t>(in.view.count));
    const fp::RandomColumns out{columns.view(), quantities[0].mutable_data(), quantities[1].mutable_data(),
                                runaway.mutable_data()};
    {
        const py::gil_scoped_release release;
        fp::stress(random.book, m.data, in.view, out, fp::resolve_threads(threads), progress_of(progress, in.view.count));
    }
    return columns.result() + py::make_tuple(quantities[0], quantities[1], runaway);
}

// (long_notional, short_notional), or (proceeds,)
py::tuple stress_random_sums(const py::tuple& parts, std::uint64_t seed, double most_closed, const py::tuple& market,
                             const py::tuple& scenarios, int threads, bool notionals) {
    const RandomBook random(parts, seed, most_closed);
    const Market m(market);
    const Scenarios in(scenarios);
    Doubles first = doubles(in.view.count), second = doubles(notionals ? in.view.count : 0);
    const fp::RandomSums out{notionals ? nullptr : first.mutable_data(), notionals ? first.mutable_data() : nullptr,
                             second.mutable_data()};
    {
        const py::none nobody;
        const py::gil_scoped_release release;
        fp::stress_sums(random.book, m.data, in.view, out, fp::resolve_threads(threads),
                        progress_of(nobody, in.view.count));
    }
    if (!notionals) return py::make_tuple(first);
    return py::make_tuple(first, second);
}

// (count, from, to) of the longs, a row a scenario, and of the shorts
py::tuple stress_random_uncovered(const py::tuple& parts, std::uint64_t seed, double most_closed, const py::tuple& market,
                                  const py::tuple& scenarios, int threads) {
    static_assert(sizeof(fp::Uncovered) == 3 * sizeof(double));
    const RandomBook random(parts, seed, most_closed);
    const Market m(market);
    const Scenarios in(scenarios);
    const py::array::ShapeContainer shape{static_cast<py::ssize_t>(in.view.count), py::ssize_t{3}};
    Doubles longs(shape), shorts(shape);
    auto* of_longs = reinterpret_cast<fp::Uncovered*>(longs.mutable_data());
    auto* of_shorts = reinterpret_cast<fp::Uncovered*>(shorts.mutable_data());
    {
        const py::none nobody;
        const py::gil_scoped_release release;
        fp::stress_uncovered(random.book, m.data, in.view, of_longs, of_shorts, fp::resolve_threads(threads),
                             progress_of(nobody, in.view.count));
    }
    return py::make_tuple(longs, shorts);
}

using StepBuilder = fp::StepColumns(const fp::SideView&, const fp::MarketData&, bool, int, const fp::Poll&);

template <StepBuilder* build>
py::tuple steps(const py::tuple& side, const py::tuple& market, bool shorts, int threads) {
    const Side s(side);
    const Market m(market);
    fp::StepColumns columns;
    {
        const py::gil_scoped_release release;
        columns = build(s.view, m.data, shorts, fp::resolve_threads(threads), check_signals);
    }
    Rows rows(static_cast<py::ssize_t>(columns.rows));
    fp::Step* row = rows.mutable_data();
    fp::StepsView layout;
    {
        const py::gil_scoped_release release;
        fp::write_rows(columns, row);
        columns = {};
        layout = fp::table_layout(row, static_cast<std::size_t>(rows.size()));
    }
    Indices first(static_cast<py::ssize_t>(layout.slots + 1));
    std::int32_t* out = first.mutable_data();
    {
        const py::gil_scoped_release release;
        fp::fill_table(layout, out);
    }
    return py::make_tuple(frozen(rows), frozen(first), layout.top, layout.scale);
}

struct AnswerArrays {
    Doubles final_price;
    py::array_t<std::int64_t> closed;

    explicit AnswerArrays(std::size_t count) : final_price(doubles(count)), closed(static_cast<py::ssize_t>(count)) {}
    fp::Answers view() { return {final_price.mutable_data(), closed.mutable_data()}; }
};

py::tuple answer_shocks(const py::tuple& longs, const py::tuple& shorts, double price, const Doubles& shocks, int threads) {
    const Steps l(longs), s(shorts);
    const fp::Questions questions{shocks.data(), length(shocks)};
    AnswerArrays out(questions.count);
    const fp::Answers answers = out.view();
    {
        const py::gil_scoped_release release;
        fp::answer_shocks(l.view, s.view, price, questions, answers, fp::resolve_threads(threads), check_signals);
    }
    return py::make_tuple(out.final_price, out.closed);
}

py::tuple answer_sales(const py::tuple& long_steps, const py::tuple& short_steps, const py::tuple& longs,
                       const py::tuple& shorts, const py::tuple& market, const Doubles& sales, int threads) {
    const Steps l(long_steps), s(short_steps);
    const Book book(longs, shorts);
    const Market m(market);
    const fp::Questions questions{sales.data(), length(sales)};
    AnswerArrays out(questions.count);
    const fp::Answers answers = out.view();
    {
        const py::gil_scoped_release release;
        fp::answer_sales(l.view, s.view, book.view, m.data, questions, answers, fp::resolve_threads(threads), check_signals);
    }
    return py::make_tuple(out.final_price, out.closed);
}

template <class Function>
Doubles for_each(const Doubles& values, Function&& f) {
    const std::size_t n = length(values);
    Doubles out = doubles(n);
    const double* in = values.data();
    double* to = out.mutable_data();
    const py::gil_scoped_release release;
    for (std::size_t i = 0; i < n; ++i) to[i] = f(in[i]);
    return out;
}

Doubles displacement(const py::tuple& market, const Doubles& sold) {
    const Market m(market);
    return fp::with_market(m.data, 1.0, [&](const auto& known) {
        return for_each(sold, [&](double q) { return known.displacement({q, q}); });
    });
}

Doubles inverse(const py::tuple& market, const Doubles& displacements) {
    const Market m(market);
    return fp::with_market(m.data, 1.0, [&](const auto& known) {
        return for_each(displacements, [&](double x) { return known.inverse_displacement(x); });
    });
}

Doubles proceeds(const py::tuple& market, const Doubles& sold, const Doubles& quantity) {
    const Market m(market);
    require(length(sold) == length(quantity), "_core: the columns must have one length");
    const double* before = sold.data();
    return fp::with_market(m.data, 1.0, [&](const auto& known) {
        std::size_t i = 0;
        return for_each(quantity, [&](double q) {
            const double at = before[i++];
            return known.proceeds(m.data.price, {at, at}, q);
        });
    });
}

// (open, high, low, close, open_interest), a row a period; the rows after which the book is wanted, too
py::tuple infer_book(const py::tuple& history, double hours, const Doubles& share, const Doubles& long_distance,
                     const Doubles& short_distance, double turnover, double activity, double body, double cell, int steps,
                     const py::array_t<std::int64_t, py::array::c_style>& wanted) {
    Doubles columns[5];
    for (std::size_t i = 0; i < 5; ++i) columns[i] = array_at<Doubles>(history, i);
    const std::size_t rows = length(columns[0]), classes = length(share), seen = length(wanted);
    for (const Doubles& column : columns) require(length(column) == rows, "_core: the columns must have one length");
    require(length(long_distance) == classes && length(short_distance) == classes,
            "_core: the columns of a mix do not fit together");
    const fp::PriceHistory prices{columns[0].data(), columns[1].data(), columns[2].data(), columns[3].data(),
                                  columns[4].data(), hours, rows};
    const fp::LeverageClasses mix{share.data(), {long_distance.data(), short_distance.data()}, classes};
    fp::HiddenBook book;
    {
        const py::gil_scoped_release release;
        book = fp::infer_book(prices, mix, {turnover, activity, body, cell, steps}, check_signals,
                              {wanted.data(), seen});
    }
    const auto grid = [&](const std::vector<double>& cells, std::size_t count) {
        return copied(cells).reshape({static_cast<py::ssize_t>(count), static_cast<py::ssize_t>(book.cells)});
    };
    return py::make_tuple(py::make_tuple(copied(book.liquidated[0]), copied(book.liquidated[1])),
                          py::make_tuple(grid(book.quantity[0], classes), grid(book.quantity[1], classes)),
                          book.first_cell, py::make_tuple(grid(book.seen[0], seen), grid(book.seen[1], seen)));
}

Doubles exponentials(const Doubles& values) {
    return for_each(values, [](double x) { return fp::math::exp(x); });
}
Doubles logarithms(const Doubles& values) {
    return for_each(values, [](double x) { return fp::math::log(x); });
}

// (side, quantity, entry_price, margin, maintenance, other_pnl, other_maintenance, share), each of length 1 or n
struct MarginArrays {
    Sides side;
    Doubles columns[7];
    fp::MarginColumns view;

    explicit MarginArrays(const py::tuple& items) : side(array_at<Sides>(items, 0)) {
        std::size_t n = length(side);
        for (std::size_t i = 0; i < 7; ++i) {
            columns[i] = array_at<Doubles>(items, i + 1);
            if (length(columns[i]) != 1) n = length(columns[i]);
        }
        require(length(side) == n || length(side) == 1, "_core: the columns must have one length");
        fp::Numbers numbers[7];
        for (std::size_t i = 0; i < 7; ++i) {
            require(length(columns[i]) == n || length(columns[i]) == 1, "_core: the columns must have one length");
            numbers[i] = {columns[i].data(), length(columns[i]) == 1 ? 0u : 1u};
        }
        view = {side.data(),  length(side) == 1 ? 0u : 1u, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4],
                numbers[5], numbers[6], n};
    }
};

py::tuple liquidation_prices(const py::tuple& positions, const py::object& tiers, bool inverse, int valuation, int fee_at,
                             double fee_rate, int threads) {
    const MarginArrays in(positions);
    std::optional<Tiers> schedule;
    if (!tiers.is_none()) schedule.emplace(tiers.cast<py::tuple>());
    require(valuation >= 0 && valuation <= 2 && fee_at >= 0 && fee_at <= 1, "_core: no such rule");
    const fp::MarginRule rule{schedule ? schedule->view : fp::TierView{nullptr, nullptr, nullptr, 0}, inverse,
                              static_cast<fp::Valuation>(valuation), static_cast<fp::FeeAt>(fee_at), fee_rate};
    require(schedule || rule.valuation == fp::Valuation::absolute, "_core: a schedule is missing");
    Doubles out = doubles(in.view.count);
    double* to = out.mutable_data();
    bool good;
    {
        const py::gil_scoped_release release;
        good = fp::liquidation_prices(rule, in.view, to, fp::resolve_threads(threads), check_signals);
    }
    return py::make_tuple(out, good);
}

Doubles bankruptcy_prices(const py::tuple& positions, bool inverse, double fee_rate, int threads) {
    const MarginArrays in(positions);
    Doubles out = doubles(in.view.count);
    double* to = out.mutable_data();
    {
        const py::gil_scoped_release release;
        fp::bankruptcy_prices(inverse, fee_rate, in.view, to, fp::resolve_threads(threads), check_signals);
    }
    return out;
}

Doubles maintenance_margins(const py::tuple& tiers, const Doubles& notional) {
    const Tiers schedule(tiers);
    Doubles out = doubles(length(notional));
    double* to = out.mutable_data();
    {
        const py::gil_scoped_release release;
        fp::maintenance_margins(schedule.view, notional.data(), static_cast<std::size_t>(notional.size()), to);
    }
    return out;
}

const double* numbers_or_null(const py::object& item, std::int64_t count) {
    if (item.is_none()) return nullptr;
    const auto array = array_of<Doubles>(item);
    require(static_cast<std::int64_t>(length(array)) == count, "_core: a column of steps must have an entry a step");
    return array.data();  // `item` keeps it
}

// (opening_rate, closing_rate, longs, shorts, quantity law, cumulative shares, long ratios, short ratios)
struct TurnoverArrays {
    std::vector<Doubles> kept;
    fp::Turnover data;

    explicit TurnoverArrays(const py::tuple& items)
        : data{items[0].cast<double>(), items[1].cast<double>(), {items[2].cast<bool>(), items[3].cast<bool>()},
               law_of(items[4].cast<py::tuple>(), kept), numbers(items, 5), {numbers(items, 6), numbers(items, 7)}} {
        require(!data.share.empty() && data.ratio[0].size() == data.share.size() && data.ratio[1].size() == data.share.size(),
                "_core: the columns of a mix do not fit together");
    }

private:
    static std::vector<double> numbers(const py::tuple& items, std::size_t i) {
        const auto array = array_at<Doubles>(items, i);
        return {array.data(), array.data() + length(array)};
    }
};

// What a run of paths is made of: (longs, shorts, positions, market, process, (half_life, step, steps, living depth or None:
// normal_volatility, elasticity, memory, least, refill_half_life, spread_elasticity, most_spread), (seed, antithetic),
// (moves, sales), bridge, turnover or None, (parts of a random book, most_closed) or None, venue or None, funding or None,
// funds as (quantity, target, initial, memory, most, buys_back, due)); see paths.hpp.
struct PathArrays {
    Book book;
    Market market;
    VenuePositions positions;
    ProcessArrays process;
    std::optional<TurnoverArrays> turnover;
    std::optional<RandomBook> random;
    std::optional<Venue> venue;
    std::optional<fp::Funding> funding;
    std::vector<fp::VolatilityTargeting> targeting;
    std::optional<fp::LivingDepthData> depth;
    fp::PathJob job;

    explicit PathArrays(const py::tuple& run)
        : book(run[0].cast<py::tuple>(), run[1].cast<py::tuple>()),
          market(run[3].cast<py::tuple>()),
          positions(book, run[2].cast<py::tuple>()),
          process(run[4].cast<py::tuple>()) {
        const auto clock = run[5].cast<py::tuple>(), randomness = run[6].cast<py::tuple>(), script = run[7].cast<py::tuple>();
        const bool bridge = run[8].cast<bool>();
        const py::object turnover_items = run[9], random_items = run[10];
        const fp::Clock time{clock[1].cast<double>(), clock[0].cast<double>(), clock[2].cast<std::int64_t>()};
        require(time.steps >= 0 && time.steps <= 0xffffffff, "_core: steps must be between 0 and 2^32 - 1");
        require(!bridge || process.data.kind == fp::ProcessKind::gbm, "_core: only a GBM has a bridge");
        if (!turnover_items.is_none()) turnover.emplace(turnover_items.cast<py::tuple>());
        if (!random_items.is_none()) {
            const auto items = random_items.cast<py::tuple>();
            random.emplace(items[0].cast<py::tuple>(), randomness[0].cast<std::uint64_t>(), items[1].cast<double>());
            require(!random->book.positions.empty(), "_core: a random book is empty");
        }
        const py::object venue_items = run[11];
        if (!venue_items.is_none()) {
            venue.emplace(venue_items.cast<py::tuple>());
            positions.require_for(venue->data);
            require(!turnover && !random, "_core: a venue needs a known book");
        }
        const py::object funding_items = run[12];
        if (!funding_items.is_none()) {
            const auto items = funding_items.cast<py::tuple>();
            const auto number = [&](std::size_t i) { return items[i].cast<double>(); };
            funding = {numbers_or_null(items[0], time.steps), numbers_or_null(items[1], time.steps), number(2), number(3),
                       number(4), number(5)};
            require(funding->due, "_core: payments are missing");
        }
        for (const py::handle item : run[13].cast<py::tuple>()) {
            const auto items = item.cast<py::tuple>();
            const auto number = [&](std::size_t i) { return items[i].cast<double>(); };
            targeting.push_back({number(0), number(1), number(2), number(3), number(4), items[5].cast<bool>(),
                                 numbers_or_null(items[6], time.steps)});
            require(targeting.back().due && !bridge, "_core: funds need times to look, and no bridge");
        }
        const py::object depth_items = clock[3];
        if (!depth_items.is_none()) {
            const auto items = depth_items.cast<py::tuple>();
            const auto number = [&](std::size_t i) { return items[i].cast<double>(); };
            depth = {number(0), number(1), number(2), number(3), number(4), number(5), number(6)};
            require(!bridge, "_core: depth that lives has no bridge");
        }
        job = {positions.view, venue ? &venue->data : nullptr, turnover ? &turnover->data : nullptr,
               random ? &random->book : nullptr, market.data, process.data,
               {randomness[0].cast<std::uint64_t>(), randomness[1].cast<bool>()}, time,
               {numbers_or_null(script[0], time.steps), numbers_or_null(script[1], time.steps)}, bridge,
               funding ? &*funding : nullptr, targeting, depth ? &*depth : nullptr};
    }
    bool knows_bankruptcy() const { return positions.knows_bankruptcy(); }
};

// The columns of paths that are wanted.
struct PathOutput {
    NamedColumns named;
    fp::PathColumns view{};
    fp::Recording recording{nullptr, 0, nullptr};

    PathOutput(std::size_t count, const py::tuple& wanted, const py::object& record, bool knows_bankruptcy,
               std::int64_t steps, bool depth)
        : named{{}, count} {
        for (const py::handle item : wanted) {
            const auto name = item.cast<std::string>();
            const bool known = add(name, "final_price", view.final_price) || add(name, "low_price", view.low_price) ||
                               add(name, "high_price", view.high_price) || add(name, "low_time", view.low_time) ||
                               add(name, "long_count", view.long_count) || add(name, "short_count", view.short_count) ||
                               add(name, "long_quantity", view.long_quantity) ||
                               add(name, "short_quantity", view.short_quantity) ||
                               add(name, "long_open_quantity", view.long_open_quantity) ||
                               add(name, "short_open_quantity", view.short_open_quantity) ||
                               add(name, "long_notional", view.long_notional) ||
                               add(name, "short_notional", view.short_notional) ||
                               add(name, "stop_count", view.stop_count) || add(name, "stop_quantity", view.stop_quantity) ||
                               add(name, "stop_notional", view.stop_notional) || add(name, "waves", view.waves) ||
                               add(name, "exhausted", view.exhausted) || add(name, "runaway", view.runaway) ||
                               add(name, "targeting_quantity", view.targeting_quantity) ||
                               add(name, "support_quantity", view.support_quantity) ||
                               add(name, "least_liquidity", view.least_liquidity) ||
                               named.add(name, view.ledger);
            require(known, "_core: no such column");
        }
        require(knows_bankruptcy || !view.ledger.needs_bankruptcy(), "_core: bankruptcy prices are missing");
        if (record.is_none()) return;
        const auto at = array_of<py::array_t<std::int64_t, py::array::c_style>>(record);
        recording.count = length(at);
        recording.at = at.data();
        for (std::size_t i = 0; i < recording.count; ++i) {
            require(recording.at[i] >= (i ? recording.at[i - 1] + 1 : 0) && recording.at[i] <= steps,
                    "_core: recorded steps must rise within the run");
        }
        const auto recorded = [&](const char* name) {
            Doubles values({static_cast<py::ssize_t>(count), static_cast<py::ssize_t>(recording.count)});
            named.columns[name] = values;
            return values.mutable_data();
        };
        recording.prices = recorded("prices");
        if (!depth) return;
        recording.liquidity = recorded("liquidity");
        recording.spread = recorded("spread");
    }

private:
    template <class T>
    bool add(const std::string& name, const char* known, T*& at) {
        if (name != known) return false;
        named.add(name, at);
        return true;
    }
};

py::dict simulate(const py::tuple& run, std::uint64_t first, std::size_t count, const py::tuple& wanted,
                  const py::object& record, int threads, const py::object& progress) {
    const PathArrays in(run);
    require(in.process.reaches(first, count, in.job.clock.steps), "_core: there are fewer returns than paths or steps");
    PathOutput out(count, wanted, record, in.knows_bankruptcy(), in.job.clock.steps, false);
    {
        const py::gil_scoped_release release;
        fp::simulate(in.job, first, count, out.view, out.recording, fp::resolve_threads(threads),
                     progress_of(progress, count));
    }
    return out.named.columns;
}

py::tuple replay(const py::tuple& run, std::uint64_t path, const py::tuple& wanted, const py::object& record) {
    const PathArrays in(run);
    require(in.process.reaches(path, 1, in.job.clock.steps), "_core: there are fewer returns than paths or steps");
    PathOutput out(1, wanted, record, in.knows_bankruptcy(), in.job.clock.steps, in.depth.has_value());
    std::vector<fp::PathWave> waves;
    {
        const py::none nobody;
        const py::gil_scoped_release release;
        waves = fp::replay(in.job, path, out.view, out.recording, progress_of(nobody, 1));
    }
    return py::make_tuple(out.named.columns, copied(waves));
}

py::dict build_info() {
    py::dict info;
    info["version"] = FLUSHPOINT_VERSION;
#if defined(__clang__)
    info["compiler"] = "clang " __clang_version__;
#elif defined(__GNUC__)
    info["compiler"] = "gcc " __VERSION__;
#else
    info["compiler"] = "unknown";
#endif
    info["build_type"] = FLUSHPOINT_BUILD_TYPE;
    py::list available;
    const fp::KernelList list = fp::available_kernels();
    for (std::size_t i = 0; i < list.count; ++i) available.append(list.items[i]->name);
    info["instruction_sets"] = available;
    info["instruction_set"] = fp::kernels().name;
    info["threads"] = fp::resolve_threads(0);
    return info;
}

}  // namespace

void bind_all(py::module_& m) {
    PYBIND11_NUMPY_DTYPE(fp::Wave, price, quantity, count, notional);
    PYBIND11_NUMPY_DTYPE(fp::PathWave, step, price, quantity, count, notional);
    PYBIND11_NUMPY_DTYPE(fp::Step, key, price_factor, closed);
    fp::kernels();  // a wrong FLUSHPOINT_ISA is reported at import

    m.attr("__version__") = FLUSHPOINT_VERSION;
    m.def("build_info", &build_info);
    m.def("all_between", &all_between, py::arg("values"), py::arg("above"), py::arg("below"));
    m.def("sort_book", &sort_book, py::arg("side").noconvert(), py::arg("quantity").noconvert(),
          py::arg("trigger").noconvert(), py::arg("bankruptcy"), py::arg("threads"));
    m.def("crossed", &crossed, py::arg("side"), py::arg("shorts"), py::arg("prices").noconvert());
    m.def("cascade", &cascade, py::arg("longs"), py::arg("shorts"), py::arg("market"), py::arg("shock"),
          py::arg("sell"), py::arg("refill"));
    m.def("cascade_proceeds", &cascade_proceeds, py::arg("longs"), py::arg("shorts"), py::arg("market"),
          py::arg("shock"), py::arg("sell"), py::arg("refill"));
    m.def("cascade_positions", &cascade_positions, py::arg("longs"), py::arg("shorts"), py::arg("positions"),
          py::arg("market"), py::arg("shock"), py::arg("sell"), py::arg("refill"), py::arg("proceeds").noconvert(),
          py::arg("shortfall").noconvert(), py::arg("surplus").noconvert());
    m.def("stress", &stress, py::arg("longs"), py::arg("shorts"), py::arg("market"), py::arg("scenarios"),
          py::arg("threads"), py::arg("progress"));
    m.def("stress_proceeds", &stress_proceeds, py::arg("longs"), py::arg("shorts"), py::arg("market"),
          py::arg("scenarios"), py::arg("threads"));
    m.def("stress_random", &stress_random, py::arg("parts"), py::arg("seed"), py::arg("most_closed"), py::arg("market"),
          py::arg("scenarios"), py::arg("threads"), py::arg("progress"));
    m.def("stress_random_sums", &stress_random_sums, py::arg("parts"), py::arg("seed"), py::arg("most_closed"),
          py::arg("market"), py::arg("scenarios"), py::arg("threads"), py::arg("notionals"));
    m.def("stress_random_uncovered", &stress_random_uncovered, py::arg("parts"), py::arg("seed"), py::arg("most_closed"),
          py::arg("market"), py::arg("scenarios"), py::arg("threads"));
    m.def("shock_steps", &steps<&fp::shock_steps>, py::arg("side"), py::arg("market"), py::arg("shorts"),
          py::arg("threads"));
    m.def("sale_steps", &steps<&fp::sale_steps>, py::arg("side"), py::arg("market"), py::arg("shorts"),
          py::arg("threads"));
    m.def("answer_shocks", &answer_shocks, py::arg("longs"), py::arg("shorts"), py::arg("price"),
          py::arg("shocks").noconvert(), py::arg("threads"));
    m.def("answer_sales", &answer_sales, py::arg("long_steps"), py::arg("short_steps"), py::arg("longs"),
          py::arg("shorts"), py::arg("market"), py::arg("sales").noconvert(), py::arg("threads"));
    m.def("liquidation_prices", &liquidation_prices, py::arg("positions"), py::arg("tiers"), py::arg("inverse"),
          py::arg("valuation"), py::arg("fee_at"), py::arg("fee_rate"), py::arg("threads"));
    m.def("bankruptcy_prices", &bankruptcy_prices, py::arg("positions"), py::arg("inverse"), py::arg("fee_rate"),
          py::arg("threads"));
    m.def("maintenance_margins", &maintenance_margins, py::arg("tiers"), py::arg("notional").noconvert());
    m.def("infer_book", &infer_book, py::arg("history"), py::arg("hours"), py::arg("share"), py::arg("long_distance"),
          py::arg("short_distance"), py::arg("turnover"), py::arg("activity"), py::arg("body"), py::arg("cell"),
          py::arg("steps"), py::arg("wanted").noconvert());
    m.def("simulate", &simulate, py::arg("run"), py::arg("first"), py::arg("count"), py::arg("wanted"), py::arg("record"),
          py::arg("threads"), py::arg("progress"));
    m.def("replay", &replay, py::arg("run"), py::arg("path"), py::arg("wanted"), py::arg("record"));
    m.def("exp", &exponentials, py::arg("values").noconvert());
    m.def("log", &logarithms, py::arg("values").noconvert());
    m.def("displacement", &displacement, py::arg("market"), py::arg("sold").noconvert());
    m.def("inverse", &inverse, py::arg("market"), py::arg("displacement").noconvert());
    m.def("proceeds", &proceeds, py::arg("market"), py::arg("sold").noconvert(), py::arg("quantity").noconvert());
    bind_venue(m);
    bind_accounts(m);
}

}  // namespace flushpoint::bind

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) { flushpoint::bind::bind_all(m); }
