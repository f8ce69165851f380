// Laws of distances and of sizes: what random books are drawn from.
#pragma once

#include <cstddef>
#include <vector>

#include "flushpoint/random.hpp"

namespace flushpoint {

enum class LawKind : int { constant, uniform, exponential, log_normal, pareto, table, leveraged };

// Parameters by kind: constant (value); uniform (low, high); exponential (mean); log_normal (median, sigma); pareto
// (scale, exponent); table (its values, rising); leveraged (spread, nearest, then the shares of the classes, then their
// offsets, as many): a distance is offset + spread * (a standard normal), given that it is above `nearest`.
struct LawData {
    LawKind kind;
    const double* parameters;
    std::size_t count;
};

// A law made ready for use. Values are positive.
class Law {
public:
    explicit Law(const LawData& data);

    LawKind kind() const { return data_.kind; }
    // The constant, or the exponential law's mean.
    double parameter() const { return data_.parameters[0]; }
    // The probability of a value at or below x.
    double cdf(double x) const;
    // Independent values, given that they lie in (from, to].
    void between(random::Generator<std::uint64_t>& g, double from, double to, double* out, std::size_t count) const;
    // Independent values; not of a leveraged law. The log-normal law's come from the lanes.
    void draw(random::Generator<std::uint64_t>& g, random::Generator<random::Word4>& lanes, double* out,
              std::size_t count) const;

private:
    void classes_between(random::Generator<std::uint64_t>& g, double from, double to, double* out,
                         std::size_t count) const;
    double mixture(double x) const;

    LawData data_;
    std::vector<double> share_, offset_;  // a leveraged law's classes, in multiples of four
    double below_ = 0.0;                  // the mixture's probability up to `nearest`
};

}  // namespace flushpoint
