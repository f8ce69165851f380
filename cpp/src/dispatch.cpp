#include <cstdlib>
#include <stdexcept>
#include <string>

#include "flushpoint/kernels.hpp"

#if defined(FLUSHPOINT_HAS_AVX) && defined(_WIN32)
#include <windows.h>
#endif

namespace flushpoint {

inline namespace baseline {
extern const Kernels kernel_table;
}
#ifdef FLUSHPOINT_HAS_AVX
namespace avx2 {
extern const Kernels kernel_table;
}
namespace avx512 {
extern const Kernels kernel_table;
}
#endif

KernelList available_kernels() {
    static const Kernels* const all[] = {
        &baseline::kernel_table,
#ifdef FLUSHPOINT_HAS_AVX
        &avx2::kernel_table,
        &avx512::kernel_table,
#endif
    };
#if defined(FLUSHPOINT_HAS_AVX) && defined(_WIN32)  // where the builtin needs a library that is not linked
    static const bool has_avx2 = IsProcessorFeaturePresent(PF_AVX2_INSTRUCTIONS_AVAILABLE);
    static const bool has_avx512 = IsProcessorFeaturePresent(PF_AVX512F_INSTRUCTIONS_AVAILABLE);
#elif defined(FLUSHPOINT_HAS_AVX)
    static const bool has_avx2 = __builtin_cpu_supports("avx2");
    static const bool has_avx512 = __builtin_cpu_supports("avx512f");
#else
    constexpr bool has_avx2 = false, has_avx512 = false;
#endif
    static const std::size_t usable = !has_avx2 ? 1 : !has_avx512 ? 2 : 3;
    return {all, usable};
}

namespace {
const Kernels& choose() {
    const KernelList list = available_kernels();
    const char* wanted = std::getenv("FLUSHPOINT_ISA");
    if (!wanted || !*wanted) return *list.items[list.count - 1];
    std::string names;
    for (std::size_t i = 0; i < list.count; ++i) {
        if (std::string(list.items[i]->name) == wanted) return *list.items[i];
        names += (i ? ", " : "") + std::string(list.items[i]->name);
    }
    throw std::invalid_argument("FLUSHPOINT_ISA must be one of " + names + " on this processor, was '" + wanted + "'");
}
}  // namespace

const Kernels& kernels() {
    static const Kernels& chosen = choose();
    return chosen;
}

}  // namespace flushpoint
