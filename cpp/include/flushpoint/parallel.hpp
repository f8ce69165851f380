// Loops over independent tasks. Threads live for one call: nothing is left behind that a fork could break.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>

namespace flushpoint {

// Called now and then by the calling thread; throws to stop the work.
using Poll = std::function<void()>;
inline constexpr auto poll_interval = std::chrono::milliseconds(20);

// The number of threads for a request: 0 means FLUSHPOINT_NUM_THREADS or else the processors this process may use. Throws
// std::invalid_argument where that variable is no sensible number.
int resolve_threads(int requested);

// Calls task(i) for 0 <= i < tasks in any order, on up to `threads` threads, the caller's among them. The first
// exception stops the loop and is thrown here.
void parallel_for(std::size_t tasks, int threads, const Poll& poll, const std::function<void(std::size_t)>& task);

// Calls work(begin, end) for blocks that together cover 0 <= i < count, as parallel_for does.
template <class Work>
void in_blocks(std::size_t count, int threads, const Poll& poll, Work&& work) {
    constexpr std::size_t block = 1 << 15;
    parallel_for((count + block - 1) / block, threads, poll,
                 [&](std::size_t b) { work(b * block, std::min(count, (b + 1) * block)); });
}

}  // namespace flushpoint
