// Triggers in the order in which they fire.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/math.hpp"

namespace flushpoint {

// A trigger, and what settles ties, as integers that compare without branches: the least fires first.
struct FiringKey {
    std::uint64_t order;
    std::uint64_t rest;  // place in input order, then slot

    FiringKey() = default;
    explicit FiringKey(std::uint64_t order_) : order(order_), rest(0) {}
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

// Keys sorted by a share of them into so many buckets that each holds few. `spare` and `ends` are room to work in.
inline void sort_by_buckets(std::vector<FiringKey>& keys, std::vector<FiringKey>& spare, std::vector<std::uint32_t>& ends) {
    constexpr std::size_t few = 64;
    if (keys.size() <= few) return std::sort(keys.begin(), keys.end());
    std::uint64_t least = ~std::uint64_t{0}, most = 0;
    for (const FiringKey& key : keys) {
        least = std::min(least, key.order);
        most = std::max(most, key.order);
    }
    const int shift = std::max(0, static_cast<int>(std::bit_width(most - least)) - static_cast<int>(std::bit_width(keys.size())) + 2);
    const auto bucket = [&](const FiringKey& key) { return static_cast<std::size_t>((key.order - least) >> shift); };
    ends.assign(bucket(FiringKey{most}) + 1, 0);
    for (const FiringKey& key : keys) ++ends[bucket(key)];
    std::uint32_t before = 0;
    for (std::uint32_t& end : ends) before = (end += before);
    spare.resize(keys.size());
    for (std::size_t i = keys.size(); i-- > 0;) spare[--ends[bucket(keys[i])]] = keys[i];
    keys.swap(spare);
    for (std::size_t i = 0; i < ends.size(); ++i) {
        const auto end = i + 1 < ends.size() ? ends[i + 1] : static_cast<std::uint32_t>(keys.size());
        std::sort(keys.begin() + ends[i], keys.begin() + end);
    }
}

// Triggers that return and are taken wave by wave: a radix heap. A key stands in the level of the highest bit in which it
// differs from `base_`, which comes before all of them, so each level comes before the next, and is in no order itself.
// Whatever is crossed is taken at once and sorted then; where part of a level is, the rest moves to lower ones. Each key is
// thus looked at a few times, one after another in memory.
class FiringQueue {
public:
    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    // The first to fire.
    double trigger(bool shorts) const {
        std::uint64_t least = mask_ ? levels_[first()].least : ~std::uint64_t{0};
        for (const FiringKey& key : early_) least = std::min(least, key.order);
        return FiringKey{least}.trigger(shorts);
    }
    // Calls f for each, in no order.
    template <class Function>
    void for_each(Function&& f) const {
        for (const Level& level : levels_) {
            for (const FiringKey& key : level.keys) f(key);
        }
        for (const FiringKey& key : early_) f(key);
    }

    void push(const FiringKey& key) {
        ++size_;
        if (key.order < base_) {
            early_.push_back(key);
        } else {
            file(key);
        }
    }
    // Those for whose `order` the test holds, in firing order; it holds for an order whenever it does for a later one.
    template <class Crossed>
    void take(Crossed&& crossed, std::vector<FiringKey>& out) {
        out.clear();
        if (!early_.empty()) take_early(crossed, out);
        std::uint64_t last = base_;
        while (mask_ && crossed(levels_[first()].least)) {
            Level& level = levels_[first()];
            mask_ &= mask_ - 1;
            level.least = ~std::uint64_t{0};
            rest_.clear();
            for (const FiringKey& key : level.keys) {
                if (crossed(key.order)) {
                    last = std::max(last, key.order);
                    out.push_back(key);
                } else {
                    rest_.push_back(key);
                }
            }
            level.keys.clear();
            if (!rest_.empty()) {
                base_ = last;
                for (const FiringKey& key : rest_) file(key);
                break;
            }
        }
        base_ = last;
        size_ -= out.size();
        sort_by_buckets(out, spare_, ends_);
    }

private:
    struct Level {
        std::vector<FiringKey> keys;
        std::uint64_t least = ~std::uint64_t{0};  // order
    };

    std::size_t first() const { return static_cast<std::size_t>(std::countr_zero(mask_)); }
    std::size_t level_of(std::uint64_t order) const { return static_cast<std::size_t>(std::bit_width((order ^ base_) | 1)) - 1; }
    void file(const FiringKey& key) {
        const std::size_t at = level_of(key.order);
        Level& level = levels_[at];
        level.keys.push_back(key);
        level.least = std::min(level.least, key.order);
        mask_ |= std::uint64_t{1} << at;
    }
    // Keys that returned before `base_` are crossed by the next wave in most cases. Where the price has turned, the base does.
    template <class Crossed>
    void take_early(Crossed&& crossed, std::vector<FiringKey>& out) {
        rest_.clear();
        std::uint64_t least = base_;
        for (const FiringKey& key : early_) {
            if (crossed(key.order)) {
                out.push_back(key);
            } else {
                rest_.push_back(key);
                least = std::min(least, key.order);
            }
        }
        early_.clear();
        if (rest_.empty()) return;
        const std::size_t at = level_of(least);
        for (std::size_t i = 0; i < at; ++i) {
            rest_.insert(rest_.end(), levels_[i].keys.begin(), levels_[i].keys.end());
            levels_[i].keys.clear();
            levels_[i].least = ~std::uint64_t{0};
        }
        mask_ = mask_ >> at << at;
        base_ = least;
        for (const FiringKey& key : rest_) file(key);
    }

    std::array<Level, 64> levels_;
    std::uint64_t mask_ = 0;  // of the levels that hold any
    std::uint64_t base_ = 0;  // order
    std::vector<FiringKey> early_;  // before it
    std::size_t size_ = 0;
    std::vector<FiringKey> rest_, spare_;  // room to work in
    std::vector<std::uint32_t> ends_;
};

}  // namespace flushpoint
