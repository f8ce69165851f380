// Arrays of a venue and of what it has to know of a book.
#pragma once

#include <string>

#include "arrays.hpp"
#include "flushpoint/venue_run.hpp"

namespace flushpoint::bind {

// (floor, rate, deduction)
struct Tiers {
    Doubles floor, rate, deduction;
    fp::TierView view;

    explicit Tiers(const py::tuple& items)
        : floor(array_at<Doubles>(items, 0)),
          rate(array_at<Doubles>(items, 1)),
          deduction(array_at<Doubles>(items, 2)),
          view{floor.data(), rate.data(), deduction.data(), length(floor)} {
        require(view.count > 0 && length(rate) == view.count && length(deduction) == view.count,
                "_core: the columns of a schedule do not fit together");
    }
};

// (fund, fee_rate, fee_to_fund, surplus_to, adl, adl_at_mark, close, fraction, target, whole_below, tiers or None, pacing,
// delay, price_band)
struct Venue {
    std::optional<Tiers> tiers;
    fp::VenueData data;

    explicit Venue(const py::tuple& items) {
        const auto number = [&](std::size_t i) { return items[i].cast<double>(); };
        const auto choice = [&](std::size_t i, int count) {
            const int chosen = items[i].cast<int>();
            require(chosen >= 0 && chosen < count, "_core: no such rule of a venue");
            return chosen;
        };
        const py::object schedule = items[10];
        if (!schedule.is_none()) tiers.emplace(schedule.cast<py::tuple>());
        data.fund = number(0);
        data.fee_rate = number(1);
        data.fee_to_fund = items[2].cast<bool>();
        data.surplus_to = static_cast<fp::SurplusTo>(choice(3, 3));
        data.adl = static_cast<fp::AdlRule>(choice(4, 9));
        data.adl_at_mark = items[5].cast<bool>();
        data.close = static_cast<fp::CloseRule>(choice(6, 3));
        data.fraction = number(7);
        data.target = number(8);
        data.whole_below = number(9);
        if (tiers) data.tiers = tiers->view;
        data.pacing = number(11);
        data.delay = number(12);
        data.price_band = number(13);
        require(data.close != fp::CloseRule::tier_step_down || tiers, "_core: a schedule is missing");
    }
};

// (longs, shorts): sides as (index, bankruptcy_price, value_sum, ahead, behind, entry_price, stop), where but for the index
// all may be None, or the last two, or one of them.
struct VenuePositions {
    struct Columns {
        Indices index;
        std::optional<Doubles> bankruptcy[4], entry_price;
        std::optional<Flags> stop;
        fp::VenueColumns view{};

        Columns(const Side& side, const py::tuple& items) : index(array_at<Indices>(items, 0)) {
            const std::size_t count = length(index);
            require(count == length(side.trigger), "_core: the columns of a side do not fit together");
            view.index = index.data();
            view.count = count;
            const py::object first = items[1];
            if (first.is_none()) return;
            const std::size_t live = side.view.count, entries = fp::strides(live), lengths[] = {count, live + 1, entries, entries};
            const double* data[4];
            for (std::size_t i = 0; i < 4; ++i) {
                bankruptcy[i] = array_at<Doubles>(items, i + 1);
                require(length(*bankruptcy[i]) == lengths[i], "_core: the columns of a side do not fit together");
                data[i] = bankruptcy[i]->data();
            }
            view.bankruptcy = {data[0], data[1], data[2], data[3]};
            const py::object entry = items[5], stops = items[6];
            if (!entry.is_none()) {
                entry_price = array_of<Doubles>(entry);
                require(length(*entry_price) == count, "_core: the columns of a side do not fit together");
                view.entry_price = entry_price->data();
            }
            if (!stops.is_none()) {
                stop = array_of<Flags>(stops);
                require(length(*stop) == count, "_core: the columns of a side do not fit together");
                view.stop = stop->data();
            }
        }
    };

    Columns longs, shorts;
    fp::VenueBookView view;

    VenuePositions(const Book& book, const py::tuple& items)
        : longs(book.longs, items[0].cast<py::tuple>()), shorts(book.shorts, items[1].cast<py::tuple>()) {
        view = {book.view, longs.view, shorts.view};
    }
    // For results that are written by place.
    void require_places() const {
        const std::size_t count = longs.view.count + shorts.view.count;
        for (const Columns* side : {&longs, &shorts}) {
            for (std::size_t i = 0; i < side->view.count; ++i) {
                const std::int32_t place = side->view.index[i];
                require(place >= 0 && static_cast<std::size_t>(place) < count, "_core: an index is out of range");
            }
        }
    }
    bool knows_bankruptcy() const { return longs.bankruptcy[0].has_value(); }
    void require_for(const fp::VenueData& venue) const {
        require(knows_bankruptcy(), "_core: a venue needs bankruptcy prices");
        require(!venue.closes_winners() || (longs.entry_price && shorts.entry_price), "_core: closing winners needs entry prices");
    }
};

// Columns of one entry a row, each made when it is asked for by name.
struct NamedColumns {
    py::dict columns;
    std::size_t count;

    template <class T>
    void add(const std::string& name, T*& at) {
        py::array_t<T> array(static_cast<py::ssize_t>(count));
        columns[name.c_str()] = array;
        at = array.mutable_data();
    }
    // Whether the name is one of a ledger.
    bool add(const std::string& name, fp::LedgerColumns& ledger) {
        bool found = false;
        fp::LedgerColumns::for_each(ledger, [&](const char* known, auto*& at) {
            if (name != known) return;
            add(name, at);
            found = true;
        });
        return found;
    }
};

void bind_venue(py::module_& m);

}  // namespace flushpoint::bind
