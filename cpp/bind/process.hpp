// Arrays of a price process.
#pragma once

#include "arrays.hpp"
#include "flushpoint/process.hpp"

namespace flushpoint::bind {

// (kind, parameters, returns or None)
struct ProcessArrays {
    Doubles parameters;
    py::object returns;
    fp::ProcessData data;

    explicit ProcessArrays(const py::tuple& items) : parameters(array_at<Doubles>(items, 1)), returns(items[2]) {
        const auto kind = static_cast<fp::ProcessKind>(items[0].cast<int>());
        static constexpr std::size_t lengths[] = {2, 5, 3, 5, 2, 0, 2};
        require(kind >= fp::ProcessKind::gbm && kind <= fp::ProcessKind::bridge &&
                    length(parameters) == lengths[static_cast<int>(kind)],
                "_core: no such process");
        data = {kind, parameters.data(), nullptr, false, 0};
        const bool one_row = kind == fp::ProcessKind::bootstrap, bridge = kind == fp::ProcessKind::bridge;
        if (!one_row && !bridge && kind != fp::ProcessKind::returns) return;
        data.single = py::isinstance<Singles>(returns);
        require(data.single || py::isinstance<Doubles>(returns), "_core: returns must be float or double, in C order");
        const auto array = py::reinterpret_borrow<py::array>(returns);
        require(array.ndim() == (one_row ? 1 : 2) && array.size() > 0 &&
                    (!bridge || (!data.single && array.shape(0) == 2)),
                "_core: returns have the wrong shape");
        data.returns = array.data();
        data.columns = static_cast<std::size_t>(array.shape(array.ndim() - 1));
    }
    // Whether paths first to first + count - 1 of so many steps have returns.
    bool reaches(std::uint64_t first, std::size_t count, std::int64_t steps) const {
        if (data.kind != fp::ProcessKind::returns) return true;
        const auto rows = static_cast<std::uint64_t>(py::reinterpret_borrow<py::array>(returns).shape(0));
        return static_cast<std::int64_t>(data.columns) >= steps && first <= rows && count <= rows - first;
    }
};

}  // namespace flushpoint::bind
