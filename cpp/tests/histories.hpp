// Random price histories, and the columns the hidden book takes.
#pragma once

#include <algorithm>
#include <vector>

#include "flushpoint/hidden_book.hpp"
#include "generator.hpp"

namespace tests {

struct History {
    std::vector<double> open, high, low, close, open_interest;

    void add(double from, double to, double top, double bottom, double interest) {
        open.push_back(from);
        high.push_back(top);
        low.push_back(bottom);
        close.push_back(to);
        open_interest.push_back(interest);
    }
    void add_flat(double price, double interest) { add(price, price, price, price, interest); }
    flushpoint::PriceHistory view(double hours = 1.0) const {
        return {open.data(), high.data(), low.data(), close.data(), open_interest.data(), hours, open.size()};
    }
};

// Each row moves by up to `size` and ranges half as far beyond; some stand still, and some open elsewhere.
inline History random_history(Generator& random, std::size_t rows, double size) {
    History out;
    double price = 100.0, interest = 1e6;
    for (std::size_t i = 0; i < rows; ++i) {
        interest *= random.between(0.9, 1.1);
        if (random.below(10) == 0) {
            out.add_flat(price, interest);
            continue;
        }
        if (random.below(10) == 0) price *= 1.0 + random.between(-size, size);
        const double close = price * (1.0 + random.between(-size, size));
        const double up = 0.5 * size * random.uniform(), down = 0.5 * size * random.uniform();
        out.add(price, close, std::max(price, close) * (1.0 + up), std::min(price, close) * (1.0 - down), interest);
        price = close;
    }
    return out;
}

struct Classes {
    std::vector<double> share, distance[2];

    flushpoint::LeverageClasses view() const {
        return {share.data(), {distance[0].data(), distance[1].data()}, share.size()};
    }
};

}  // namespace tests
