#include "flushpoint/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace flushpoint {

namespace {
int usable_processors() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

constexpr int most_threads = 1024;

// Joins its threads at the end; std::jthread is not in every standard library yet.
struct Pool {
    std::vector<std::thread> threads;

    ~Pool() {
        for (std::thread& one : threads) one.join();
    }
};
}  // namespace

int resolve_threads(int requested) {
    if (requested > 0) return requested;
    const char* text = std::getenv("FLUSHPOINT_NUM_THREADS");
    if (!text || !*text) return usable_processors();
    int wanted = 0;
    const char* end = text + std::strlen(text);
    const auto [parsed, error] = std::from_chars(text, end, wanted);
    if (error != std::errc{} || parsed != end || wanted < 1 || wanted > most_threads) {
        throw std::invalid_argument("FLUSHPOINT_NUM_THREADS must be an integer from 1 to " + std::to_string(most_threads) +
                                    ", was '" + text + "'");
    }
    return wanted;
}

void parallel_for(std::size_t tasks, int threads, const Poll& poll, const std::function<void(std::size_t)>& task) {
    std::atomic<std::size_t> next{0};
    std::atomic<bool> stop{false};
    std::exception_ptr failure;
    std::mutex mutex;  // of failure, and of who is still busy

    const auto work = [&](bool polls) {
        auto last_poll = std::chrono::steady_clock::now();
        try {
            for (;;) {
                const std::size_t i = next.fetch_add(1, std::memory_order_relaxed);
                if (i >= tasks || stop.load(std::memory_order_relaxed)) return;
                task(i);
                if (polls && poll && std::chrono::steady_clock::now() - last_poll > poll_interval) {
                    poll();
                    last_poll = std::chrono::steady_clock::now();
                }
            }
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (!failure) failure = std::current_exception();
            stop.store(true, std::memory_order_relaxed);
        }
    };

    const std::size_t helpers = std::min(tasks, static_cast<std::size_t>(std::max(threads, 1))) - (tasks > 0 ? 1 : 0);
    if (helpers == 0) {
        work(true);  // a small question is answered before anybody could be waited for
    } else {
        std::size_t busy = helpers;
        std::condition_variable finished;
        Pool pool;
        pool.threads.reserve(helpers);
        for (std::size_t t = 0; t < helpers; ++t) {
            pool.threads.emplace_back([&] {
                work(false);
                const std::lock_guard lock(mutex);
                --busy;
                finished.notify_one();
            });
        }
        work(true);
        // The others may still be at their last tasks: until they are done, the caller goes on asking.
        std::unique_lock lock(mutex);
        while (!finished.wait_for(lock, poll_interval, [&] { return busy == 0; })) {
            if (failure || !poll) continue;
            lock.unlock();
            try {
                poll();
                lock.lock();
            } catch (...) {
                lock.lock();
                failure = std::current_exception();
                stop.store(true, std::memory_order_relaxed);
            }
        }
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace flushpoint
