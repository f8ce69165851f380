// Arrays of accounts over several markets.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "venue.hpp"
#include "flushpoint/account_run.hpp"

namespace flushpoint::bind {

using Longs64 = py::array_t<std::int64_t, py::array::c_style>;

// (first, market, quantity, cost, money, group or None, schedules, close, target, banks or None, loans or None)
// with banks (threshold, target, floor, cash, illiquid, loan), loans (close_factor, full_below, bonus, minimum, sells)
struct Accounts {
    Longs64 first;
    Indices market;
    Doubles quantity, cost, money;
    std::optional<Indices> group;
    std::vector<Tiers> schedules;
    std::vector<fp::TierView> tiers;
    std::vector<Doubles> banks;
    fp::AccountsView view;

    explicit Accounts(const py::tuple& items)
        : first(array_at<Longs64>(items, 0)),
          market(array_at<Indices>(items, 1)),
          quantity(array_at<Doubles>(items, 2)),
          cost(array_at<Doubles>(items, 3)),
          money(array_at<Doubles>(items, 4)) {
        const py::object groups = items[5];
        if (!groups.is_none()) group = array_of<Indices>(groups);
        for (const py::handle schedule : items[6].cast<py::tuple>()) schedules.emplace_back(schedule.cast<py::tuple>());
        for (const Tiers& schedule : schedules) tiers.push_back(schedule.view);
        const std::size_t count = length(money), positions = length(market);
        require(length(first) == count + 1 && length(quantity) == positions && length(cost) == positions &&
                    (!group || length(*group) == count) && count <= 0x7fffffff,
                "_core: the columns of accounts do not fit together");
        const std::int64_t* at = first.data();
        bool good = at[0] == 0 && static_cast<std::size_t>(at[count]) == positions;
        for (std::size_t a = 0; a < count; ++a) good &= at[a] <= at[a + 1];
        for (std::size_t p = 0; p < positions; ++p) {
            good &= market.data()[p] >= 0 && static_cast<std::size_t>(market.data()[p]) < tiers.size();
        }
        require(good, "_core: an index is out of range");
        const int close = items[7].cast<int>();
        require(close >= 0 && close < 5, "_core: no such rule of closing");
        const py::object of_banks = items[9];
        if (!of_banks.is_none()) {
            const py::tuple columns = of_banks;
            for (std::size_t i = 0; i < columns.size(); ++i) banks.push_back(array_at<Doubles>(columns, i));
            require(banks.size() == 6, "_core: the columns of banks do not fit together");
            for (const Doubles& column : banks) {
                require(length(column) == count, "_core: the columns of banks do not fit together");
            }
        }
        view = {at, market.data(), quantity.data(), cost.data(), money.data(), group ? group->data() : nullptr, count,
                tiers.data(), static_cast<fp::AccountClose>(close), items[8].cast<double>(), {}, {}};
        const py::object of_loans = items[10];
        require(view.has_banks() == !banks.empty() && view.has_loans() == !of_loans.is_none(),
                "_core: the rule of closing does not fit the accounts");
        if (view.has_loans()) {
            const py::tuple rule = of_loans;
            view.loans = {rule[0].cast<double>(), rule[1].cast<double>(), rule[2].cast<double>(), rule[3].cast<double>(),
                          rule[4].cast<double>()};
        }
        if (view.has_banks()) {
            view.banks = {banks[0].data(), banks[1].data(), banks[2].data(), banks[3].data(), banks[4].data(), banks[5].data()};
        }
    }
};

// (market, longs, shorts, positions, long_group or None, short_group or None, long_alone or None, short_alone or None)
struct MarketBook {
    Market market;
    Book book;
    VenuePositions positions;
    std::optional<Indices> groups[2];
    std::optional<Flags> alone[2];

    explicit MarketBook(const py::tuple& items)
        : market(items[0].cast<py::tuple>()),
          book(items[1].cast<py::tuple>(), items[2].cast<py::tuple>()),
          positions(book, items[3].cast<py::tuple>()) {
        require(positions.knows_bankruptcy(), "_core: accounts need bankruptcy prices");
        const std::size_t counts[] = {positions.longs.view.count, positions.shorts.view.count};
        for (std::size_t side = 0; side < 2; ++side) {
            const py::object group = items[4 + side], isolated = items[6 + side];
            if (!group.is_none()) {
                groups[side] = array_of<Indices>(group);
                require(length(*groups[side]) == counts[side], "_core: the columns of a side do not fit together");
            }
            if (!isolated.is_none()) {
                alone[side] = array_of<Flags>(isolated);
                require(length(*alone[side]) == counts[side], "_core: the columns of a side do not fit together");
            }
        }
    }
    fp::MarketBook view() const {
        const auto data = [](const auto& column) { return column ? column->data() : nullptr; };
        return {market.data, positions.view, data(groups[0]), data(groups[1]), data(alone[0]), data(alone[1])};
    }
    // What is asked where winners are closed.
    void require_winners() const {
        positions.require_places();
        require(positions.longs.entry_price && positions.shorts.entry_price && alone[0] && alone[1],
                "_core: closing winners needs entry prices");
    }
};

// (books, cross_impact or None, accounts, venue, groups, confined, whether filled at the midpoint)
struct AccountJob {
    std::vector<std::unique_ptr<MarketBook>> books;
    std::optional<Doubles> cross;
    Accounts accounts;
    Venue venue;
    fp::AccountJob view;

    explicit AccountJob(const py::tuple& items)
        : accounts(items[2].cast<py::tuple>()), venue(items[3].cast<py::tuple>()) {
        for (const py::handle book : items[0].cast<py::tuple>()) {
            books.push_back(std::make_unique<MarketBook>(book.cast<py::tuple>()));
        }
        const std::size_t count = books.size();
        const py::object impact = items[1];
        if (!impact.is_none()) {
            cross = array_of<Doubles>(impact);
            require(length(*cross) == count * count, "_core: the cross impact does not fit the markets");
        }
        require(accounts.tiers.size() == count, "_core: the schedules do not fit the markets");
        view.groups = items[4].cast<std::size_t>();
        bool good = view.groups > 0;
        const auto check = [&](const std::optional<Indices>& group) {
            if (!group) return;
            for (py::ssize_t i = 0; i < group->size(); ++i) {
                good &= group->data()[i] >= 0 && static_cast<std::size_t>(group->data()[i]) < view.groups;
            }
        };
        check(accounts.group);
        for (const auto& book : books) {
            check(book->groups[0]);
            check(book->groups[1]);
            view.markets.books.push_back(book->view());
        }
        require(good, "_core: an index is out of range");
        view.markets.cross_impact = cross ? cross->data() : nullptr;
        view.markets.midpoint = items[6].cast<bool>();
        view.accounts = accounts.view;
        view.venue = venue.data;
        if (view.venue.closes_winners()) {
            for (const auto& book : books) {
                book->require_winners();
                const std::size_t own = book->positions.longs.view.count + book->positions.shorts.view.count;
                require(own + view.accounts.positions() <= 0x7fffffff, "_core: there are too many positions");
            }
        }
        view.confined = items[5].cast<std::int32_t>();
    }
};

// Columns of one entry a row, a row and market, or a row and group.
struct AccountColumns {
    NamedColumns rows, markets, groups;
    fp::AccountColumns view{};

    AccountColumns(std::size_t count, const fp::AccountJob& job)
        : rows{{}, count}, markets{{}, count * job.markets.count()}, groups{{}, count * job.groups} {
        markets.add("final_price", view.final_price);
        markets.add("low_price", view.low_price);
        markets.add("high_price", view.high_price);
        markets.add("exhausted", view.exhausted);
        markets.add("waves", view.waves);
        markets.add("own_longs", view.own_longs);
        markets.add("own_shorts", view.own_shorts);
        markets.add("shared_longs", view.shared_longs);
        markets.add("shared_shorts", view.shared_shorts);
        markets.add("long_quantity", view.long_quantity);
        markets.add("short_quantity", view.short_quantity);
        markets.add("adl_quantity", view.adl_quantity);
        markets.add("adl_count", view.adl_count);
        markets.add("long_notional", view.long_notional);
        markets.add("short_notional", view.short_notional);
        groups.add("group_closed", view.group_closed);
        groups.add("group_defaulted", view.group_defaulted);
        groups.add("group_shortfall", view.group_shortfall);
        if (job.venue.closes_winners()) {
            markets.add("spared_longs", view.spared_longs);
            markets.add("spared_shorts", view.spared_shorts);
            groups.add("group_spared", view.group_spared);
            groups.add("group_spared_isolated", view.group_spared_isolated);
        }
        rows.add("rounds", view.rounds);
        rows.add("liquidator_profit", view.liquidator_profit);
        rows.add("liquidator_cash", view.liquidator_cash);
        fp::LedgerColumns::for_each(view.ledger, [&](const char* name, auto*& at) {
            if (std::string_view(name).starts_with("adl_")) return;  // told market by market
            rows.add(name, at);
        });
    }
    py::dict result() const {
        py::dict out;
        for (const NamedColumns* columns : {&rows, &markets, &groups}) {
            for (const auto& [name, column] : columns->columns) out[name] = column;
        }
        return out;
    }
};

void bind_accounts(py::module_& m);

}  // namespace flushpoint::bind
