// Things that cost much to make and serve one task after another: as many of them as threads are ever busy at once.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace flushpoint {

template <class Thing>
class Idle {
public:
    // Calls work(thing) with an idle thing, or else with what make() returns a pointer to.
    template <class Make, class Work>
    void with(Make&& make, Work&& work) {
        std::unique_ptr<Thing> thing;
        {
            const std::lock_guard lock(mutex_);
            if (!things_.empty()) {
                thing = std::move(things_.back());
                things_.pop_back();
            }
        }
        if (!thing) thing = make();
        work(*thing);
        const std::lock_guard lock(mutex_);
        things_.push_back(std::move(thing));
    }

private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<Thing>> things_;
};

}  // namespace flushpoint
