#include "flushpoint/hidden_book.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "flushpoint/math.hpp"

namespace flushpoint {

namespace {

constexpr double never = 10.0;       // log distances beyond this are not kept on the grid
constexpr double finest = 40.0;      // entry prices lie no further apart than this part of the distance to the trigger
constexpr double negligible = 1e-4;  // closing rates a row that rule 3 leaves out

// One possible order of a row's prices: open, one extreme, the other, close.
struct Path {
    std::array<double, 4> price{};
    double weight = 0.0;
    double length = std::abs(price[1] - price[0]) + std::abs(price[2] - price[1]) + std::abs(price[3] - price[2]);

    // The share of the path that lies on a piece of a leg; a price that stands still spends a third on each leg.
    double share(double size) const { return length > 0.0 ? size / length : 1.0 / 3.0; }
    // The share of the path that is done when it first reaches `trigger` from leg `leg` on, where `done` is and it
    // stands at `from`; negative if it never does. `sign` is +1 for longs, whose triggers are reached from above.
    double reaches(double trigger, double sign, std::size_t leg, double from, double done) const {
        if (sign * (trigger - from) >= 0.0) return done;
        for (std::size_t g = leg; g < 3; ++g) {
            if (sign * (trigger - price[g + 1]) >= 0.0) return done + share(sign * (from - trigger));
            done += share(std::abs(price[g + 1] - from));
            from = price[g + 1];
        }
        return -1.0;
    }
};

// Triggers of one side and class. Amounts are stored divided by `scale`, so that closing all alike is one product.
struct Ladder {
    double* cells;
    std::size_t count;
    double sign;
    double share;
    double distance;
    double rate;
    double scale = 1.0;
    double total = 0.0;
    std::ptrdiff_t nearest = 0;  // no cell nearer to the price holds anything

    void close_share(double kept) {
        scale *= kept;
        total *= kept;
        if (scale >= 1e-100) return;
        for (std::size_t i = 0; i < count; ++i) cells[i] *= scale;
        scale = 1.0;
    }
    // Splits an amount between the two cells about `at`, in cells.
    void add(double amount, double at) {
        const double below = std::floor(at);
        const auto i = static_cast<std::ptrdiff_t>(below);
        const double stored = amount / scale;
        cells[i] += stored * (1.0 - (at - below));
        cells[i + 1] += stored * (at - below);
        total += amount;
        nearest = sign > 0.0 ? std::max(nearest, i + 1) : std::min(nearest, i);
    }
};

class Inference {
public:
    Inference(const PriceHistory& history, const LeverageClasses& classes, const FlowRule& rule,
              std::span<const std::int64_t> rows)
        : history_(history), rule_(rule), rows_(rows) {
        double reach = 0.0;
        for (std::size_t k = 0; k < classes.count; ++k) {
            for (const double* side : classes.distance) {
                if (side[k] < never) reach = std::max(reach, side[k]);
            }
        }
        const double lowest = *std::min_element(history.low, history.low + history.rows);
        const double highest = *std::max_element(history.high, history.high + history.rows);
        out_.first_cell = static_cast<std::ptrdiff_t>(std::floor((math::log(lowest) - reach) / rule.cell)) - 4;
        out_.cells = static_cast<std::size_t>(
            static_cast<std::ptrdiff_t>(std::ceil((math::log(highest) + reach) / rule.cell)) + 6 - out_.first_cell);
        for (int side = 0; side < 2; ++side) {
            out_.liquidated[side].assign(history.rows, 0.0);
            out_.quantity[side].assign(classes.count * out_.cells, 0.0);
            out_.seen[side].assign(rows.size() * out_.cells, 0.0);
            for (std::size_t k = 0; k < classes.count; ++k) {
                const double distance = classes.distance[side][k];
                if (distance >= never || classes.share[k] == 0.0) continue;
                ladders_[side].push_back({out_.quantity[side].data() + k * out_.cells, out_.cells,
                                          side == 0 ? 1.0 : -1.0, classes.share[k], distance,
                                          rule.turnover * (0.01 / distance)});
                ladders_[side].back().nearest = side == 0 ? 0 : static_cast<std::ptrdiff_t>(out_.cells) - 1;
            }
        }
        near_.resize(static_cast<std::size_t>(reach / rule.cell) + 2);
    }

    HiddenBook run(const Poll& poll) {
        double quantity = 0.0;
        std::size_t seen = 0;
        for (std::size_t row = 0; row < history_.rows; ++row) {
            if (poll && row % 64 == 0) poll();
            read(row);
            for (int side = 0; side < 2; ++side) {
                double& liquidated = out_.liquidated[side][row];
                for (Ladder& ladder : ladders_[side]) {
                    liquidated += cross(ladder);
                    ladder.close_share(math::exp(-ladder.rate * time_));
                    liquidated += turn_over(ladder, quantity);
                }
            }
            hasten();
            const double now = history_.open_interest[row] / history_.close[row];
            for (auto& side : ladders_) {
                for (Ladder& ladder : side) settle(ladder, quantity, now);
            }
            quantity = now;
            if (seen < rows_.size() && rows_[seen] == static_cast<std::int64_t>(row)) see(seen++);
        }
        for (auto& side : ladders_) {
            for (Ladder& ladder : side) {
                for (std::size_t i = 0; i < ladder.count; ++i) ladder.cells[i] *= ladder.scale;
            }
        }
        return std::move(out_);
    }

private:
    double in_cells(double log_price) const { return log_price / rule_.cell - static_cast<double>(out_.first_cell); }
    double log_price(std::ptrdiff_t cell) const { return static_cast<double>(cell + out_.first_cell) * rule_.cell; }

    void read(std::size_t row) {
        const double open = math::log(history_.open[row]), close = math::log(history_.close[row]);
        high_ = math::log(history_.high[row]);
        low_ = math::log(history_.low[row]);
        const double range = high_ - low_, hours = history_.hours;
        // Business time: one unit is an hour that ranges 1 %. Kept finite: long before the bound all has closed.
        time_ = std::min(hours * math::pow(range / (0.01 * math::square_root(hours)), rule_.activity), 1e100);
        const double low_first = range > 0.0 ? 1.0 / (1.0 + math::exp(-rule_.body * (close - open) / range)) : 0.5;
        paths_[0] = {{open, low_, high_, close}, low_first};
        paths_[1] = {{open, high_, low_, close}, 1.0 - low_first};
    }
    void see(std::size_t which) {
        for (int side = 0; side < 2; ++side) {
            double* to = out_.seen[side].data() + which * out_.cells;
            for (const Ladder& ladder : ladders_[side]) {
                for (std::size_t i = 0; i < ladder.count; ++i) to[i] += ladder.cells[i] * ladder.scale;
            }
        }
    }
    double extreme(const Ladder& ladder) const { return ladder.sign > 0.0 ? low_ : high_; }

    // Rule 1.
    double cross(Ladder& ladder) {
        const std::ptrdiff_t step = ladder.sign > 0.0 ? -1 : 1, end = static_cast<std::ptrdiff_t>(ladder.count);
        const double limit = extreme(ladder), closing = ladder.rate * time_;
        double liquidated = 0.0;
        std::ptrdiff_t i = ladder.nearest;
        for (; i >= 0 && i < end && ladder.sign * (log_price(i) - limit) >= 0.0; i += step) {
            const double amount = ladder.cells[i] * ladder.scale;
            if (amount > 0.0) {
                const double trigger = log_price(i);
                double left = 0.0;
                for (const Path& path : paths_) {
                    const double done = path.reaches(trigger, ladder.sign, 0, path.price[0], 0.0);
                    left += path.weight * math::exp(-closing * done);
                }
                liquidated += amount * left * math::exp(trigger);
                ladder.total -= amount;
                ladder.cells[i] = 0.0;
            }
        }
        ladder.nearest = std::clamp<std::ptrdiff_t>(i, 0, end - 1);
        return liquidated;
    }

    // The opening half of rule 2.
    double turn_over(Ladder& ladder, double quantity) {
        const double closing = ladder.rate * time_;
        const double flow = ladder.share * quantity * closing;
        const double grain = std::max(rule_.cell, ladder.distance / finest);
        double liquidated = 0.0;
        for (const Path& path : paths_) {
            double done = 0.0;
            for (std::size_t leg = 0; leg < 3; ++leg) {
                const double move = path.price[leg + 1] - path.price[leg], size = std::abs(move);
                const double share = path.share(size);
                if (share == 0.0) continue;
                const int pieces = std::min(static_cast<int>(size / grain) + 1, rule_.steps);
                const double amount = path.weight * flow * share / pieces;
                for (int j = 0; j < pieces; ++j) {
                    const double part = (j + 0.5) / pieces;
                    const double entry = path.price[leg] + move * part;
                    const double opened = done + share * part;
                    const double trigger = entry - ladder.sign * ladder.distance;
                    const double reached = path.reaches(trigger, ladder.sign, leg, entry, opened);
                    if (reached >= 0.0) {
                        liquidated += amount * math::exp(-closing * (reached - opened)) * math::exp(trigger);
                    } else {
                        ladder.add(amount * math::exp(-closing * (1.0 - opened)), in_cells(trigger));
                    }
                }
                done += share;
            }
        }
        return liquidated;
    }

    // Rule 3.
    void hasten() {
        if (!(time_ > 0.0)) return;
        const double pace = rule_.turnover * time_;
        const auto reach = static_cast<std::size_t>(
            std::min(pace / negligible * 0.01 / rule_.cell + 1.0, static_cast<double>(near_.size())));
        for (std::size_t j = 0; j < reach; ++j) {
            near_[j] = math::exp(-pace * (0.01 / (rule_.cell * (static_cast<double>(j) + 0.5))));
        }
        for (auto& side : ladders_) {
            for (Ladder& ladder : side) {
                const double limit = extreme(ladder) / rule_.cell;
                const std::ptrdiff_t step = ladder.sign > 0.0 ? -1 : 1;
                const std::ptrdiff_t first =
                    static_cast<std::ptrdiff_t>(ladder.sign > 0.0 ? std::ceil(limit) - 1.0 : std::floor(limit) + 1.0) -
                    out_.first_cell;
                const double back = math::exp(std::min(ladder.rate * time_, 700.0));  // by then nothing is left
                const std::size_t nearer = static_cast<std::size_t>(std::ceil(ladder.distance / rule_.cell - 0.5));
                const std::size_t count = std::min(nearer, reach);
                double lost = 0.0;
                for (std::size_t j = 0; j < count; ++j) {
                    double& cell = ladder.cells[first + step * static_cast<std::ptrdiff_t>(j)];
                    const double kept = cell * std::min(near_[j] * back, 1.0);
                    lost += cell - kept;
                    cell = kept;
                }
                ladder.total -= lost * ladder.scale;
            }
        }
    }

    // Rule 4.
    void settle(Ladder& ladder, double before, double now) {
        const double target = ladder.share * now, gap = target - ladder.total;
        if (gap < 0.0) {
            ladder.close_share(target / ladder.total);
            return;
        }
        const double opened = std::min(ladder.share * std::max(now - before, 0.0), gap);
        if (!(opened > 0.0)) return;
        const double range = high_ - low_, limit = extreme(ladder) - ladder.sign * 1.5 * rule_.cell;
        const int pieces =
            std::min(static_cast<int>(range / std::max(rule_.cell, ladder.distance / finest)) + 1, rule_.steps);
        for (int j = 0; j < pieces; ++j) {
            const double trigger = low_ + range * ((j + 0.5) / pieces) - ladder.sign * ladder.distance;
            // What the row's range would have crossed already is opened just beyond it.
            ladder.add(opened / pieces, in_cells(ladder.sign * (trigger - limit) > 0.0 ? limit : trigger));
        }
    }

    const PriceHistory history_;
    const FlowRule rule_;
    const std::span<const std::int64_t> rows_;
    HiddenBook out_;
    std::vector<Ladder> ladders_[2];
    std::vector<double> near_;
    Path paths_[2];
    double high_ = 0.0, low_ = 0.0, time_ = 0.0;
};

}  // namespace

HiddenBook infer_book(const PriceHistory& history, const LeverageClasses& classes, const FlowRule& rule,
                      const Poll& poll, std::span<const std::int64_t> rows) {
    return Inference(history, classes, rule, rows).run(poll);
}

}  // namespace flushpoint
