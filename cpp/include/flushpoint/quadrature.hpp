// Gauss-Legendre rules on [0, 1].
#pragma once

#include "flushpoint/arch.hpp"

namespace flushpoint {
inline namespace FLUSHPOINT_ARCH {

struct Node {
    double position;
    double weight;
};

// clang-format off
inline constexpr Node few_nodes[] = {
    {0x1.80498fd662cb6p-5, 0x1.e539ec36e038cp-4},
    {0x1.d89b804cc91f6p-3, 0x1.ea1da25ae415bp-3},
    {0x1.0000000000000p-1, 0x1.23456789abcdfp-2},
    {0x1.89d91feccdb82p-1, 0x1.ea1da25ae415bp-3},
    {0x1.e7fb670299d35p-1, 0x1.e539ec36e038cp-4},
};

inline constexpr Node many_nodes[] = {
    {0x1.5b4f66ca1e083p-8, 0x1.bcddab4b7c211p-7},
    {0x1.c60a99e906503p-6, 0x1.fdfb1a2c1265dp-6},
    {0x1.132ff2bac6df4p-4, 0x1.85c4ee79cc258p-5},
    {0x1.f4ee8896e3653p-4, 0x1.fe7af2bad386ap-5},
    {0x1.874b732542e90p-3, 0x1.325f61bca3cbfp-4},
    {0x1.157ed32de2c47p-2, 0x1.5a6ebbb5a75fcp-4},
    {0x1.6fd1a8cdee642p-2, 0x1.75f8c77e0c00fp-4},
    {0x1.cf5a853312ac1p-2, 0x1.83feae80e4dfcp-4},
    {0x1.1852bd6676aa0p-1, 0x1.83feae80e4dfcp-4},
    {0x1.48172b9908cdfp-1, 0x1.75f8c77e0c00fp-4},
    {0x1.754096690e9ddp-1, 0x1.5a6ebbb5a75fcp-4},
    {0x1.9e2d2336af45cp-1, 0x1.325f61bca3cbfp-4},
    {0x1.c1622eed23936p-1, 0x1.fe7af2bad386ap-5},
    {0x1.dd9a01a8a7241p-1, 0x1.85c4ee79cc258p-5},
    {0x1.f1cfab30b7cd8p-1, 0x1.fdfb1a2c1265dp-6},
    {0x1.fd4961326bc3fp-1, 0x1.bcddab4b7c211p-7},
};
// clang-format on

// The integral of f over [low, low + width]. `smooth` promises that f hardly changes there, and five nodes will do.
template <class Function>
inline double integrate(Function&& f, double low, double width, bool smooth) {
    double sum = 0.0;
    if (smooth) {
        for (const Node& n : few_nodes) sum += n.weight * f(low + width * n.position);
    } else {
        for (const Node& n : many_nodes) sum += n.weight * f(low + width * n.position);
    }
    return width * sum;
}

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
