// Laws and random books. Contract: what laws are made of is positive and at most 1e100, sigma at most 20, a Pareto exponent
// at least 0.1; a distance's law leaves something beyond the nearest.
#pragma once

#include <deque>

#include "flushpoint/random_book.hpp"
#include "input.hpp"

namespace fuzz {

class RandomBook {
public:
    explicit RandomBook(Input& in) : data{{}, in.below(256), static_cast<double>(1 + in.below(200))} {
        for (std::size_t left = 1 + in.below(4); left > 0; --left) {
            const bool shorts = in.flag(), constant = in.flag();
            if (in.flag()) {
                const double extent = in.flag() ? fp::math::infinity : in.positive(0.3);
                data.positions.push_back({shorts, -1.0, in.positive(500.0), extent, law(in, 0.01, 5), size(in, constant)});
            } else {
                const double count = in.flag() ? 1e9 : static_cast<double>(in.below(200));
                data.positions.push_back({shorts, count, 0.0, 0.0, law(in, 0.1, 6), size(in, constant)});
            }
        }
    }
    RandomBook(const RandomBook&) = delete;
    RandomBook& operator=(const RandomBook&) = delete;

    fp::Law size(Input& in, bool constant) { return constant ? make(fp::LawKind::constant, {number(in, 1.0)}) : law(in, 1.0, 5); }

    fp::RandomBook data;

private:
    static double number(Input& in, double usual) { return std::min(in.positive(usual), 1e100); }

    fp::Law make(fp::LawKind kind, std::vector<double> parameters) {
        kept_.push_back(std::move(parameters));
        return fp::Law({kind, kept_.back().data(), kept_.back().size()});
    }
    fp::Law law(Input& in, double usual, std::size_t kinds) {
        const double first = number(in, usual);
        switch (in.below(kinds)) {
            case 0: return make(fp::LawKind::exponential, {first});
            case 1: return make(fp::LawKind::log_normal, {first, in.between(0.001, 20.0)});
            case 2: return make(fp::LawKind::uniform, {in.flag() ? 0.0 : first, first + number(in, usual) + first * 1e-3});
            case 3: return make(fp::LawKind::pareto, {first, in.between(0.1, 10.0)});
            case 4: {
                std::vector<double> values{first};
                for (std::size_t left = in.below(8); left > 0; --left) values.push_back(number(in, usual));
                std::sort(values.begin(), values.end());
                return make(fp::LawKind::table, std::move(values));
            }
            default: break;
        }
        return make(fp::LawKind::leveraged, {in.between(0.001, 0.1), in.between(0.0, 0.01), 0.5, 0.5, in.between(0.02, 0.1), 0.2});
    }

    std::deque<std::vector<double>> kept_;
};

}  // namespace fuzz
