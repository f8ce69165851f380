// One side of a random book, of which a cascade uncovers wave by wave what it closes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "flushpoint/cascade.hpp"
#include "flushpoint/pulse.hpp"
#include "flushpoint/random_book.hpp"
#include "flushpoint/samplers.hpp"

namespace flushpoint {

// The random numbers of one scenario, and what both sides of its book share.
struct Draws {
    Draws(const RandomBook& book, std::uint64_t scenario, Pulse& p)
        : pulse(p), left(book.most_closed), main(random::generator(book.seed, scenario, random::Stream::book)) {
        const auto drawn_singly = [](const RandomPositions& one) { return one.quantity.kind() == LawKind::log_normal; };
        if (std::any_of(book.positions.begin(), book.positions.end(), drawn_singly)) {
            lanes = random::lane_generators(book.seed, scenario, random::Stream::book);
        }
    }

    Pulse& pulse;
    double left;  // how many more may close
    bool runaway = false;
    random::Generator<std::uint64_t> main;
    random::Generator<random::Word4> lanes{};
    random::Generator<std::uint64_t>* details = nullptr;  // draws where positions stood, for notionals
};

// Four sums side by side, which do not wait for each other.
inline double sum_of(const double* values, std::size_t count) {
    double a = 0.0, b = 0.0, c = 0.0, d = 0.0;
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        a += values[i];
        b += values[i + 1];
        c += values[i + 2];
        d += values[i + 3];
    }
    for (; i < count; ++i) a += values[i];
    return (a + b) + (c + d);
}

// One side of a random book that a cascade works through.
class RandomSide {
public:
    RandomSide(const RandomBook& book, bool shorts, double price, Draws& draws)
        : shorts_(shorts), price_(price), draws_(draws) {
        reach_ = within(1.0, price);  // nearer positions would be crossed before anything happens
        for (const RandomPositions& one : book.positions) {
            if (one.shorts == shorts) parts_.push_back({one, one.count < 0.0 ? 0.0 : one.distance.cdf(reach_), one.count});
        }
    }

    // Closes what is crossed.
    Closed take(double mark_factor, double start) {
        if (parts_.empty() || draws_.runaway) return {};
        const double to = within(mark_factor, start);
        if (!(to > reach_)) return {};
        Closed wave;
        for (Part& part : parts_) close(part, to, wave);
        reach_ = to;
        closed_.count += wave.count;
        closed_.quantity += wave.quantity;
        return wave;
    }
    double quantity() const { return closed_.quantity; }
    double quantity(const Closed& wave) const { return wave.quantity; }

    double notional() const { return notional_; }
    std::int64_t count() const { return closed_.count; }
    Uncovered uncovered() const {
        return ended_.value_or(Uncovered{static_cast<double>(closed_.count), reach_, reach_});
    }
    // Nothing nearer can fire: 0 or inf where nothing can at all.
    double next_trigger() const {
        if (parts_.empty() || draws_.runaway) return shorts_ ? math::infinity : 0.0;
        return price_ * math::exp(shorts_ ? reach_ : -reach_);
    }

private:
    struct Part {
        const RandomPositions& positions;
        double uncovered;  // the distance law's probability up to `reach_`
        double left;       // positions not uncovered yet
    };

    // The distance up to which the crossing test holds.
    double within(double mark_factor, double start) const {
        return shorts_ ? math::log(start * (1.0 + tie) / (price_ * mark_factor))
                       : math::log(price_ * mark_factor / (start * (1.0 - tie)));
    }

    void close(Part& part, double to, Closed& wave) {
        const RandomPositions& of = part.positions;
        double number;
        if (of.count < 0.0) {
            const double from = std::min(reach_, of.extent);
            number = random::poisson(draws_.main, of.density * (std::min(to, of.extent) - from));
        } else {
            if (part.left == 0.0) return;
            const double uncovered = of.distance.cdf(to);
            number = random::binomial(draws_.main, part.left, (uncovered - part.uncovered) / (1.0 - part.uncovered));
            part.uncovered = uncovered;
            part.left -= number;
        }
        if (number > draws_.left) {
            number = draws_.left;
            draws_.runaway = true;
            ended_ = Uncovered{static_cast<double>(closed_.count), reach_, to};
        }
        if (number == 0.0) return;
        draws_.left -= number;
        wave.count += static_cast<std::int64_t>(number);
        wave.quantity += size(of, number, to);
    }

    // The total size of `number` positions that stand between reach_ and `to`.
    double size(const RandomPositions& of, double number, double to) {
        const bool constant = of.quantity.kind() == LawKind::constant;
        if (constant || of.quantity.kind() == LawKind::exponential) {
            const double total = of.quantity.parameter() * (constant ? number : random::gamma(draws_.main, number));
            if (draws_.details) notional_ += total * mean_trigger(of, number, to, constant);
            return total;
        }
        return in_pieces(number, [&](double* sizes, double* triggers, std::size_t n) {
            of.quantity.draw(draws_.main, draws_.lanes, sizes, n);
            if (draws_.details) {
                stand(of, to, triggers, n);
                for (std::size_t i = 0; i < n; ++i) notional_ += sizes[i] * triggers[i];
            }
            return sum_of(sizes, n);
        });
    }

    // Of sizes that are equal, or exponential and known by their sum alone: then their shares are those of fresh
    // exponential numbers.
    double mean_trigger(const RandomPositions& of, double number, double to, bool equal) {
        double weights = 0.0;
        const double sum = in_pieces(number, [&](double* weight, double* triggers, std::size_t n) {
            stand(of, to, triggers, n);
            double part = 0.0;
            for (std::size_t i = 0; i < n; ++i) {
                weight[i] = equal ? 1.0 : random::exponential(*draws_.details);
                weights += weight[i];
                part += weight[i] * triggers[i];
            }
            return part;
        });
        return sum / weights;
    }

    // Trigger prices of positions that stand between reach_ and `to`.
    void stand(const RandomPositions& of, double to, double* triggers, std::size_t n) {
        if (of.count < 0.0) {
            const double end = std::min(to, of.extent);
            for (std::size_t i = 0; i < n; ++i) triggers[i] = reach_ + (end - reach_) * random::uniform(*draws_.details);
        } else {
            of.distance.between(*draws_.details, reach_, to, triggers, n);
        }
        for (std::size_t i = 0; i < n; ++i) triggers[i] = price_ * math::exp(shorts_ ? triggers[i] : -triggers[i]);
    }

    // The sum of piece(sizes, triggers, n) over pieces of at most so many positions.
    template <class Piece>
    double in_pieces(double number, Piece&& piece) {
        constexpr std::size_t most = 512;
        double sizes[most], triggers[most], sum = 0.0;
        for (auto left = static_cast<std::size_t>(number); left > 0;) {
            const std::size_t n = std::min(left, most);
            sum += piece(sizes, triggers, n);
            draws_.pulse.spent(n);
            left -= n;
        }
        return sum;
    }

    const bool shorts_;
    const double price_;
    Draws& draws_;
    std::vector<Part> parts_;
    double reach_;
    Closed closed_;
    std::optional<Uncovered> ended_;  // where this side ran away
    double notional_ = 0.0;
};

}  // namespace flushpoint
