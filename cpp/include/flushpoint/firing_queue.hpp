// Triggers in the order in which they fire.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/math.hpp"

namespace flushpoint {

// A trigger, and what settles ties, as integers that compare without branches: the least fires first.
struct FiringKey {
    std::uint64_t order;
    std::uint64_t rest;  // place in input order, then slot

    FiringKey() : order(~std::uint64_t{0}), rest(~std::uint64_t{0}) {}  // after all others
    FiringKey(double trigger, bool shorts, std::int32_t place, std::int32_t slot)
        : rest(std::uint64_t{static_cast<std::uint32_t>(place)} << 32 | static_cast<std::uint32_t>(slot)) {
        const std::uint64_t bits = math::bits_of(trigger + 0.0);
        const std::uint64_t rising = bits >> 63 ? ~bits : bits | top;
        order = shorts ? rising : ~rising;
    }
    double trigger(bool shorts) const {
        const std::uint64_t rising = shorts ? order : ~order;
        return math::double_of(rising >> 63 ? rising & ~top : ~rising);
    }
    std::int32_t slot() const { return static_cast<std::int32_t>(rest & 0xffffffff); }
    friend bool operator<(const FiringKey& a, const FiringKey& b) {
        return bool((a.order < b.order) | ((a.order == b.order) & (a.rest < b.rest)));
    }

private:
    static constexpr std::uint64_t top = std::uint64_t{1} << 63;
};

// Four children a node, which share a cache line.
class FiringHeap {
public:
    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    const FiringKey& front() const { return lines_[0].key[3]; }
    // In no order.
    const FiringKey& operator[](std::size_t i) const { return lines_[(i + 3) / 4].key[(i + 3) % 4]; }

    void clear() {
        lines_.clear();
        size_ = 0;
    }
    void push(const FiringKey& key) {
        std::size_t i = size_++;
        if ((i + 3) / 4 >= lines_.size()) lines_.emplace_back();
        while (i > 0) {
            const std::size_t parent = (i - 1) / 4;
            if (!(key < at(parent))) break;
            at(i) = at(parent);
            i = parent;
        }
        at(i) = key;
    }
    void pop() {
        const FiringKey last = at(--size_);
        at(size_) = FiringKey();
        if (size_ == 0) return;
        std::size_t i = 0;
        while (4 * i + 1 < size_) {
            const FiringKey* child = lines_[i + 1].key;
            const unsigned a = child[1] < child[0], b = 2 + (child[3] < child[2]), least = child[b] < child[a] ? b : a;
            if (!(child[least] < last)) break;
            at(i) = child[least];
            i = 4 * i + 1 + least;
        }
        at(i) = last;
    }

private:
    // Node 0 stands last in line 0, the children of node i in line i + 1; keys beyond the last node come after all.
    struct alignas(64) Line {
        FiringKey key[4];
    };
    FiringKey& at(std::size_t i) { return lines_[(i + 3) / 4].key[(i + 3) % 4]; }

    std::vector<Line> lines_;
    std::size_t size_ = 0;
};

// The nearest in a heap that fits a cache, the others in no order. When the heap has run empty, a share of the others that
// come first move there, so that each is looked at a few times, one after another in memory.
class FiringQueue {
public:
    bool empty() const { return near_.empty(); }
    std::size_t size() const { return near_.size() + far_.size(); }
    const FiringKey& front() const { return near_.front(); }
    // In no order.
    const FiringKey& operator[](std::size_t i) const { return i < near_.size() ? near_[i] : far_[i - near_.size()]; }

    void push(const FiringKey& key) {
        if (key < bound_) {
            near_.push(key);
            if (near_.size() > 8 * few && near_.size() > size() / 4) {
                for (std::size_t i = 0; i < near_.size(); ++i) far_.push_back(near_[i]);
                near_.clear();
                refill();
            }
        } else {
            far_.push_back(key);
        }
    }
    void pop() {
        near_.pop();
        if (near_.empty() && !far_.empty()) refill();
    }

private:
    static constexpr std::size_t few = 4096, sample = 64, share = 8;

    void refill() {
        bound_ = FiringKey();
        if (far_.size() > few) {
            std::array<FiringKey, sample> some;
            for (std::size_t i = 0; i < sample; ++i) some[i] = far_[i * (far_.size() / sample)];
            std::nth_element(some.begin(), some.begin() + sample / share, some.end());
            bound_ = some[sample / share];
        }
        std::size_t left = 0;
        for (std::size_t i = 0; i < far_.size(); ++i) {
            const FiringKey key = far_[i];
            if (key < bound_) {
                near_.push(key);
            } else {
                far_[left++] = key;
            }
        }
        far_.resize(left);
    }

    FiringHeap near_;
    std::vector<FiringKey> far_;
    FiringKey bound_;  // all in `near_` come before it, none of the others
};

}  // namespace flushpoint
