// What lets a long run be watched and stopped.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <thread>

#include "flushpoint/parallel.hpp"

namespace flushpoint {

// Called now and then by the calling thread with the number of scenarios or paths done; throws to stop the work.
using Progress = std::function<void(std::size_t)>;

// Keeps a run of scenarios or paths stoppable: told of work along the way, it calls `progress` at most every
// poll_interval from the thread that made it, and where that throws, ends the work of the other threads too.
class Pulse {
public:
    explicit Pulse(const Progress& progress) : progress_(progress) {}

    struct Stopped {};

    // Counts work, in units of some 10 ns. Throws Stopped where another thread's `progress` has ended the work.
    void spent(std::size_t work) {
        if (stopped_.load(std::memory_order_relaxed)) throw Stopped{};
        if (std::this_thread::get_id() != caller_ || (work_ += work) < 10'000) return;
        work_ = 0;
        if (std::chrono::steady_clock::now() - last_ < poll_interval) return;
        ask();
        last_ = std::chrono::steady_clock::now();
    }
    // Calls `progress` at once; for the thread that made this.
    void ask() {
        try {
            progress_(done_.load(std::memory_order_relaxed));
        } catch (...) {
            stopped_.store(true, std::memory_order_relaxed);
            throw;
        }
    }
    void finished(std::size_t count) { done_.fetch_add(count, std::memory_order_relaxed); }

private:
    const Progress& progress_;
    const std::thread::id caller_ = std::this_thread::get_id();
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();  // the caller's alone, as work_ is
    std::size_t work_ = 0;
    std::atomic<bool> stopped_{false};
    std::atomic<std::size_t> done_{0};
};

}  // namespace flushpoint
