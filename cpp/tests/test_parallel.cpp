// The loop over tasks. Under a thread sanitizer the plain writes below also show that a call ends after all its tasks.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "flushpoint/parallel.hpp"

namespace fp = flushpoint;

TEST_CASE("each task runs once") {
    for (const std::size_t tasks : {0, 1, 2, 7, 1000, 20'000}) {
        for (const int threads : {-1, 0, 1, 2, 3, 7, 64}) {
            CAPTURE(tasks);
            CAPTURE(threads);
            std::vector<int> done(tasks, 0);  // no two tasks share an element
            fp::parallel_for(tasks, threads, {}, [&](std::size_t i) { ++done[i]; });
            CHECK(done == std::vector<int>(tasks, 1));
        }
    }
}

TEST_CASE("blocks cover each index once") {
    for (const std::size_t count : {0, 1, 32'767, 32'768, 32'769, 200'000}) {
        for (const int threads : {1, 3}) {
            CAPTURE(count);
            std::vector<int> done(count, 0);
            fp::in_blocks(count, threads, {}, [&](std::size_t begin, std::size_t end) {
                for (std::size_t i = begin; i < end; ++i) ++done[i];
            });
            CHECK(done == std::vector<int>(count, 1));
        }
    }
}

TEST_CASE("what one call wrote the next may read") {
    const std::size_t tasks = 1000;
    std::vector<std::size_t> first(tasks), second(tasks);
    for (std::size_t round = 0; round < 20; ++round) {
        fp::parallel_for(tasks, 4, {}, [&](std::size_t i) { first[i] = i + round; });
        fp::parallel_for(tasks, 4, {}, [&](std::size_t i) { second[i] = first[tasks - 1 - i]; });
        bool right = true;
        for (std::size_t i = 0; i < tasks; ++i) right = right && second[i] == tasks - 1 - i + round;
        CHECK(right);
    }
}

TEST_CASE("an exception stops the loop and reaches the caller") {
    for (const int threads : {1, 2, 5}) {
        CAPTURE(threads);
        std::atomic<std::size_t> ran{0};
        const auto task = [&](std::size_t i) {
            ++ran;
            if (i == 100) throw std::runtime_error("task 100");
            std::this_thread::sleep_for(std::chrono::microseconds(20));
        };
        CHECK_THROWS_WITH_AS(fp::parallel_for(100'000, threads, {}, task), "task 100", std::runtime_error);
        CHECK(ran >= 101);
        CHECK(ran < 50'000);
    }
    // Every task throws: one of them is heard, none is lost to std::terminate.
    CHECK_THROWS_AS(fp::parallel_for(100, 4, {}, [](std::size_t i) { throw std::out_of_range(std::to_string(i)); }),
                    std::out_of_range);
}

TEST_CASE("the caller's thread polls, and a poll that throws stops the loop") {
    for (const int threads : {1, 3}) {
        CAPTURE(threads);
        const auto caller = std::this_thread::get_id();
        const auto nap = [](std::size_t) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };

        int polls = 0;
        bool elsewhere = false;
        fp::parallel_for(static_cast<std::size_t>(100 * threads), threads,
                         [&] {
                             ++polls;
                             elsewhere = elsewhere || std::this_thread::get_id() != caller;
                         },
                         nap);
        CHECK(polls >= 1);
        CHECK_FALSE(elsewhere);

        std::atomic<int> ran{0};
        const auto begin = std::chrono::steady_clock::now();
        CHECK_THROWS_AS(fp::parallel_for(100'000, threads, [] { throw std::domain_error("stop"); },
                                         [&](std::size_t i) {
                                             ++ran;
                                             nap(i);
                                         }),
                        std::domain_error);
        CHECK(ran < 50'000);
        // Well within the promised fifth of a second, but machines may be busy
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
    }
}

TEST_CASE("no tasks, no poll") {
    fp::parallel_for(0, 4, [] { throw std::logic_error("polled"); }, [](std::size_t) { throw std::logic_error("ran"); });
}

TEST_CASE("the number of threads") {
    ::unsetenv("FLUSHPOINT_NUM_THREADS");
    CHECK(fp::resolve_threads(5) == 5);
    const int usable = fp::resolve_threads(0);
    CHECK(usable >= 1);
    ::setenv("FLUSHPOINT_NUM_THREADS", "3", 1);
    CHECK(fp::resolve_threads(0) == 3);
    CHECK(fp::resolve_threads(2) == 2);
    ::setenv("FLUSHPOINT_NUM_THREADS", "", 1);
    CHECK(fp::resolve_threads(0) == usable);
    for (const char* nonsense : {"0", "-4", "many", "2 or 3", "99999999999999999999"}) {
        CAPTURE(nonsense);
        ::setenv("FLUSHPOINT_NUM_THREADS", nonsense, 1);
        CHECK_THROWS_AS(fp::resolve_threads(0), std::invalid_argument);
    }
    ::unsetenv("FLUSHPOINT_NUM_THREADS");
}
