// The response map of a book, with rows and tables of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "books.hpp"
#include "flushpoint/response.hpp"

namespace tests {

// One side's steps and the table over them
class Steps {
public:
    explicit Steps(const flushpoint::StepColumns& columns) : rows_(columns.rows) {
        flushpoint::write_rows(columns, rows_.data());
        view_ = flushpoint::table_layout(rows_.data(), rows_.size());
        first_.resize(view_.slots + 1);
        flushpoint::fill_table(view_, first_.data());
        view_.first = first_.data();
    }
    Steps(const Steps&) = delete;
    Steps& operator=(const Steps&) = delete;

    const flushpoint::StepsView& view() const { return view_; }
    const std::vector<flushpoint::Step>& rows() const { return rows_; }

private:
    std::vector<flushpoint::Step> rows_;
    std::vector<std::int32_t> first_;
    flushpoint::StepsView view_;
};

struct AnswerColumns {
    std::vector<double> final_price;
    std::vector<std::int64_t> closed;

    explicit AnswerColumns(std::size_t count) : final_price(count), closed(count) {}
    flushpoint::Answers view() { return {final_price.data(), closed.data()}; }
};

}  // namespace tests
