// The loops that are compiled once per instruction set, and the choice among them. All give the same bits.
#pragma once

#include <cstddef>

#include "flushpoint/market.hpp"
#include "flushpoint/random.hpp"
#include "flushpoint/response.hpp"

namespace flushpoint {

struct Kernels {
    const char* name;
    // For positions begin to end: keys[i], the start price, as a key, from which position i closes once those before
    // it have, and price_factors[i], final price / start price while it has not.
    void (*shock_columns)(const SideView& side, const MarketData& market, bool shorts, std::size_t begin,
                          std::size_t end, double* keys, double* price_factors);
    void (*answer_shocks)(const StepsView& longs, const StepsView& shorts, double price, const Questions& questions,
                          const Answers& answers);
    // The sum of share[i] * P(a standard normal < (x - offset[i]) / spread) over `count`, a multiple of four.
    double (*normal_mixture)(const double* share, const double* offset, std::size_t count, double x, double spread);
    // Log-normal numbers, median * exp(sigma * a standard normal), eight at a time.
    void (*log_normals)(random::Generator<random::Word4>& lanes, double median, double sigma, double* out,
                        std::size_t count);
};

// Those this processor can run, the plainest first.
struct KernelList {
    const Kernels* const* items;
    std::size_t count;
};
KernelList available_kernels();

// The last of them, or the one that the environment variable FLUSHPOINT_ISA names; throws std::invalid_argument where
// it names none of them.
const Kernels& kernels();

}  // namespace flushpoint
