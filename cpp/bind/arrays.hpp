// What the bindings share: arrays in, views. Python's side of every structure is a tuple, described where it is read.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "flushpoint/book.hpp"
#include "flushpoint/cascade.hpp"
#include "flushpoint/parallel.hpp"
#include "flushpoint/stress.hpp"

namespace flushpoint::bind {

namespace py = pybind11;
namespace fp = flushpoint;

using Doubles = py::array_t<double, py::array::c_style>;
using Singles = py::array_t<float, py::array::c_style>;
using Sides = py::array_t<std::int8_t, py::array::c_style>;
using Flags = py::array_t<bool, py::array::c_style>;
using Indices = py::array_t<std::int32_t, py::array::c_style>;

inline void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

template <class Array>
std::size_t length(const Array& array) {
    require(array.ndim() == 1, "_core: an array must have one dimension");
    return static_cast<std::size_t>(array.size());
}

template <class Array>
Array array_of(const py::object& item) {
    if (!py::isinstance<Array>(item)) throw py::type_error("_core: an array has the wrong type");
    return py::reinterpret_borrow<Array>(item);
}
template <class Array>
Array array_at(const py::tuple& items, std::size_t i) {
    return array_of<Array>(items[i]);
}

inline Doubles doubles(std::size_t count) { return Doubles(static_cast<py::ssize_t>(count)); }

// The same array, which Python can no longer write to.
template <class Array>
const Array& frozen(const Array& array) {
    py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
    return array;
}

template <class T>
py::array_t<T> copied(const std::vector<T>& values) {
    py::array_t<T> out(static_cast<py::ssize_t>(values.size()));
    if (!values.empty()) std::memcpy(out.mutable_data(), values.data(), values.size() * sizeof(T));
    return out;
}

// Ctrl-C, asked for from the calling thread while the GIL is released.
inline void check_signals() {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

// (trigger, quantity, quantity_sum, notional_sum, live)
struct Side {
    Doubles trigger, quantity, quantity_sum, notional_sum;
    fp::SideView view;

    explicit Side(const py::tuple& items)
        : trigger(array_at<Doubles>(items, 0)),
          quantity(array_at<Doubles>(items, 1)),
          quantity_sum(array_at<Doubles>(items, 2)),
          notional_sum(array_at<Doubles>(items, 3)),
          view{trigger.data(), quantity.data(), quantity_sum.data(), notional_sum.data(), items[4].cast<std::size_t>()} {
        const std::size_t n = length(trigger);
        require(length(quantity) == n && length(quantity_sum) == n + 1 && length(notional_sum) == n + 1 && view.count <= n,
                "_core: the columns of a side do not fit together");
    }
};

struct Book {
    Side longs, shorts;
    fp::BookView view;

    Book(const py::tuple& long_items, const py::tuple& short_items)
        : longs(long_items), shorts(short_items), view{longs.view, shorts.view} {}
};

// (price, permanent, spread, mark_weight, kind, parameters, support or None); support: (price, quantity), by falling price
struct Market {
    Doubles parameters, support_price, support_quantity;
    fp::MarketData data;

    explicit Market(const py::tuple& items)
        : parameters(array_at<Doubles>(items, 5)),
          data{items[0].cast<double>(), items[1].cast<double>(), items[2].cast<double>(), items[3].cast<double>(),
               {static_cast<fp::ImpactKind>(items[4].cast<int>()), parameters.data(), length(parameters)}} {
        const std::size_t n = data.impact.count;
        switch (data.impact.kind) {
            case fp::ImpactKind::linear: require(n == 1, "_core: a linear impact has 1 parameter"); break;
            case fp::ImpactKind::power:
            case fp::ImpactKind::square_root:
            case fp::ImpactKind::evaporating: require(n == 2, "_core: this impact has 2 parameters"); break;
            case fp::ImpactKind::depth: require(n >= 3 && n % 3 == 0, "_core: a depth has 3 columns"); break;
            default: throw std::invalid_argument("_core: no such impact");
        }
        const py::object support_or_none = items[6];
        if (support_or_none.is_none()) return;
        const auto support = support_or_none.cast<py::tuple>();
        support_price = array_at<Doubles>(support, 0);
        support_quantity = array_at<Doubles>(support, 1);
        require(length(support_price) == length(support_quantity), "_core: the columns of a support must have one length");
        data.support = {support_price.data(), support_quantity.data(), length(support_price)};
    }
};

// The columns that tell positions apart: index and, where known, bankruptcy prices of each side.
struct Positions {
    Indices long_index, short_index;
    std::optional<Doubles> long_bankruptcy, short_bankruptcy;

    Positions(const Book& book, const py::tuple& items)
        : long_index(array_at<Indices>(items, 0)), short_index(array_at<Indices>(items, 1)) {
        if (!items[2].is_none()) {
            long_bankruptcy = array_at<Doubles>(items, 2);
            short_bankruptcy = array_at<Doubles>(items, 3);
        }
        const auto fits = [](const Side& side, const Indices& index, const std::optional<Doubles>& bankruptcy) {
            const std::size_t n = length(side.trigger);
            return length(index) == n && (!bankruptcy || length(*bankruptcy) == n);
        };
        require(fits(book.longs, long_index, long_bankruptcy) && fits(book.shorts, short_index, short_bankruptcy),
                "_core: the columns of a side do not fit together");
    }
    fp::PositionOutcome outcome() const {
        return {long_index.data(), short_index.data(), long_bankruptcy ? long_bankruptcy->data() : nullptr,
                short_bankruptcy ? short_bankruptcy->data() : nullptr, nullptr, nullptr, nullptr};
    }
};

// (shock, sell, liquidity, refill, count, number of the first), the first three of length 1 or count
struct Scenarios {
    Doubles columns[3];
    fp::Scenarios view;

    explicit Scenarios(const py::tuple& items) {
        view.refill = items[3].cast<double>();
        view.count = items[4].cast<std::size_t>();
        view.first = items[5].cast<std::size_t>();
        fp::ScenarioColumn* const to[] = {&view.shock, &view.sell, &view.liquidity};
        for (std::size_t i = 0; i < 3; ++i) {
            columns[i] = array_at<Doubles>(items, i);
            require(length(columns[i]) == 1 || length(columns[i]) == view.count, "_core: the columns must have one length");
            *to[i] = {columns[i].data(), length(columns[i]) == 1 ? 0u : 1u};
        }
    }
};

// Ctrl-C, and Python's own callable (done, total) or None.
inline fp::Progress progress_of(const py::object& callable, std::size_t total) {
    return [&callable, total](std::size_t done) {
        const py::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (!callable.is_none()) callable(done, total);
    };
}

// final_price, low_price, high_price, amplification, exhausted, waves, long_count, short_count, support_quantity
struct StressColumns {
    Doubles numbers[5];
    py::array_t<bool> exhausted;
    py::array_t<std::int64_t> counts[3];

    explicit StressColumns(std::size_t count) : exhausted(static_cast<py::ssize_t>(count)) {
        for (auto& column : numbers) column = doubles(count);
        for (auto& column : counts) column = py::array_t<std::int64_t>(static_cast<py::ssize_t>(count));
    }
    fp::StressColumns view() {
        return {numbers[0].mutable_data(), numbers[1].mutable_data(), numbers[2].mutable_data(),
                numbers[3].mutable_data(), exhausted.mutable_data(), counts[0].mutable_data(),
                counts[1].mutable_data(), counts[2].mutable_data(), numbers[4].mutable_data()};
    }
    py::tuple result() const {
        return py::make_tuple(numbers[0], numbers[1], numbers[2], numbers[3], exhausted, counts[0], counts[1], counts[2],
                              numbers[4]);
    }
};

}  // namespace flushpoint::bind
