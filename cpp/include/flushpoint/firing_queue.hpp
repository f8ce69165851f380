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
    std::uint64_t order = 0;
    std::uint64_t rest = 0;  // place in input order, then slot

    FiringKey() = default;
    FiringKey(double trigger, bool shorts, std::int32_t place, std::int32_t slot)
        : rest(std::uint64_t{static_cast<std::uint32_t>(place)} << 32 | static_cast<std::uint32_t>(slot)) {
        const std::uint64_t bits = math::bits_of(trigger + 0.0);
        const std::uint64_t rising = bits >> 63 ? ~bits : bits | top;
        order = shorts ? rising : ~rising;
    }
    static double trigger(std::uint64_t order, bool shorts) {
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

// Sorts keys into buckets of equal width, of which most hold one or two, and then what stands side by side. `spare` and `ends`
// are room to work in.
inline void sort_by_buckets(std::vector<FiringKey>& keys, std::vector<FiringKey>& spare, std::vector<std::uint32_t>& ends) {
    constexpr std::size_t few = 64;
    constexpr std::uint32_t crowd = 16;  // of a bucket, that is sorted by itself
    const std::size_t count = keys.size();
    if (count <= few) return std::sort(keys.begin(), keys.end());
    std::uint64_t least = keys[0].order, most = least;
    for (const FiringKey& key : keys) {
        least = std::min(least, key.order);
        most = std::max(most, key.order);
    }
    const auto width = [](std::uint64_t x) { return static_cast<int>(std::bit_width(x)); };
    const int shift = std::max(0, width(most - least) - width(count));
    const auto bucket = [&](std::uint64_t order) { return static_cast<std::size_t>((order - least) >> shift); };
    ends.assign(bucket(most) + 1, 0);
    for (const FiringKey& key : keys) ++ends[bucket(key.order)];
    std::uint32_t before = 0, fullest = 0;
    for (std::uint32_t& end : ends) {
        fullest = std::max(fullest, end);
        before = (end += before);
    }
    spare.resize(count);
    for (std::size_t i = count; i-- > 0;) spare[--ends[bucket(keys[i].order)]] = keys[i];
    keys.swap(spare);
    if (fullest > crowd) {
        for (std::size_t i = 0; i < ends.size(); ++i) {
            const auto end = i + 1 < ends.size() ? ends[i + 1] : static_cast<std::uint32_t>(count);
            if (end - ends[i] > crowd) std::sort(keys.begin() + ends[i], keys.begin() + end);
        }
    }
    for (std::size_t i = 1; i < count; ++i) {
        const FiringKey key = keys[i];
        std::size_t at = i;
        for (; at > 0 && key < keys[at - 1]; --at) keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

// Triggers that come back one by one and are taken wave by wave: a radix heap. A key stands in the level of the highest bit in
// which it differs from `base_`, the last that was taken. A level thus comes before the next one, and needs no order of its
// own: what is crossed is sorted when it is taken. Where that is a part of a level, the base moves up to it, and the rest of the
// level down to lower ones. So each key is looked at a few times, one after another in memory.
class FiringQueue {
public:
    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    // That of the first to fire.
    double trigger(bool shorts) const {
        std::uint64_t least = mask_ != 0 ? levels_[first()].least : none;
        for (const FiringKey& key : early_) least = std::min(least, key.order);
        return FiringKey::trigger(least, shorts);
    }
    // All, in firing order; good until the next call.
    const std::vector<FiringKey>& all() {
        rest_ = early_;
        for (const Level& level : levels_) rest_.insert(rest_.end(), level.keys.begin(), level.keys.end());
        sort_by_buckets(rest_, spare_, ends_);
        return rest_;
    }

    void push(const FiringKey& key) {
        ++size_;
        if (key.order < base_) {
            early_.push_back(key);
        } else {
            file(key);
        }
    }
    // Takes those whose order the test finds crossed, in firing order; a lesser order is crossed wherever a greater one is.
    template <class Crossed>
    void take(Crossed&& crossed, std::vector<FiringKey>& out) {
        out.clear();
        rest_.clear();
        const auto divide = [&](const std::vector<FiringKey>& keys) {
            for (const FiringKey& key : keys) (crossed(key.order) ? out : rest_).push_back(key);
        };
        divide(early_);
        early_.clear();
        if (!rest_.empty()) lower_base();
        while (mask_ != 0 && rest_.empty() && crossed(levels_[first()].least)) {
            divide(levels_[first()].keys);
            clear(first());
        }
        sort_by_buckets(out, spare_, ends_);
        if (!out.empty()) base_ = std::max(base_, out.back().order);
        file_rest();
        size_ -= out.size();
    }

private:
    struct Level {
        std::vector<FiringKey> keys;
        std::uint64_t least = none;  // order
    };
    static constexpr std::uint64_t none = ~std::uint64_t{0};

    std::size_t first() const { return static_cast<std::size_t>(std::countr_zero(mask_)); }
    std::size_t level_of(std::uint64_t order) const { return static_cast<std::size_t>(std::bit_width((order ^ base_) | 1)) - 1; }
    void file(const FiringKey& key) {
        const std::size_t at = level_of(key.order);
        levels_[at].keys.push_back(key);
        levels_[at].least = std::min(levels_[at].least, key.order);
        mask_ |= std::uint64_t{1} << at;
    }
    void file_rest() {
        for (const FiringKey& key : rest_) file(key);
        rest_.clear();
    }
    void clear(std::size_t level) {
        levels_[level].keys.clear();
        levels_[level].least = none;
        mask_ &= ~(std::uint64_t{1} << level);
    }
    // Most that come back before the base are crossed in the next wave. Where not, the price has turned, and the base goes back
    // to them; the levels that it goes back across are one then.
    void lower_base() {
        std::uint64_t least = base_;
        for (const FiringKey& key : rest_) least = std::min(least, key.order);
        for (const std::size_t end = level_of(least); mask_ != 0 && first() < end;) {
            rest_.insert(rest_.end(), levels_[first()].keys.begin(), levels_[first()].keys.end());
            clear(first());
        }
        base_ = least;
        file_rest();
    }

    std::array<Level, 64> levels_;
    std::uint64_t mask_ = 0;        // of the levels that hold any
    std::uint64_t base_ = 0;        // order
    std::vector<FiringKey> early_;  // came back before the base since something was taken
    std::size_t size_ = 0;
    std::vector<FiringKey> rest_, spare_;  // room to work in
    std::vector<std::uint32_t> ends_;
};

}  // namespace flushpoint
