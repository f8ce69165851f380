// Impacts that own their parameters.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "flushpoint/market.hpp"

namespace tests {

struct Impact {
    std::string name;
    flushpoint::ImpactKind kind;
    std::vector<double> parameters;

    // Both point into `parameters`, so never of a temporary.
    flushpoint::ImpactData data() const& { return {kind, parameters.data(), parameters.size()}; }
    flushpoint::MarketData market(double price, double permanent = 0.0, double spread = 0.0,
                                  double mark_weight = 1.0) const& {
        return {price, permanent, spread, mark_weight, data()};
    }
    flushpoint::ImpactData data() const&& = delete;
    flushpoint::MarketData market(double, double = 0.0, double = 0.0, double = 1.0) const&& = delete;
};

inline Impact linear(double coefficient) { return {"linear", flushpoint::ImpactKind::linear, {coefficient}}; }
inline Impact power(double coefficient, double exponent) {
    return {"power", flushpoint::ImpactKind::power, {coefficient, exponent}};
}
inline Impact square_root(double coefficient, double core) {
    return {"square_root", flushpoint::ImpactKind::square_root, {coefficient, core}};
}
inline Impact evaporating(double coefficient, double thinning) {
    return {"evaporating", flushpoint::ImpactKind::evaporating, {coefficient, thinning}};
}
inline Impact depth(std::vector<double> distance, const std::vector<double>& bids, const std::vector<double>& asks) {
    std::vector<double> all = std::move(distance);
    all.insert(all.end(), bids.begin(), bids.end());
    all.insert(all.end(), asks.begin(), asks.end());
    return {"depth", flushpoint::ImpactKind::depth, std::move(all)};
}

// One of each family, of like strength: 100 units displace the log price by about a tenth.
inline std::vector<Impact> one_of_each() {
    return {linear(0.001), power(0.004, 0.7), square_root(0.01, 2.0),
            depth({0.01, 0.03, 0.04, 0.25}, {5.0, 40.0, 60.0, 150.0}, {8.0, 30.0, 70.0, 220.0}),
            evaporating(0x1p-10, 2.0)};  // its pole, at 512 units, is exact
}

}  // namespace tests
