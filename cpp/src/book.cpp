#include "flushpoint/book.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "flushpoint/math.hpp"
#include "flushpoint/running_sum.hpp"

namespace flushpoint {

namespace {

// Positive doubles order as their bits do; longs fire by falling trigger, so theirs are turned round.
std::uint64_t firing_key(double trigger, bool is_long) {
    const std::uint64_t bits = math::bits_of(trigger + 0.0);  // + 0.0 makes a negative zero positive
    return is_long ? ~bits : bits;
}
double trigger_of(std::uint64_t key, bool is_long) { return math::double_of(is_long ? ~key : key); }

// ---------------------------------------------------------------------------------------------------------------------
// Sorting one bucket: radix passes from the highest bit that differs, then insertion. Stable.

struct Entry {
    std::uint64_t key;
    std::uint32_t place;  // within the bucket before sorting
};

constexpr std::size_t insertion_limit = 24;
constexpr std::size_t most_digits = 2048;

void insertion_sort(Entry* entries, std::size_t count) {
    for (std::size_t i = 1; i < count; ++i) {
        const Entry moving = entries[i];
        std::size_t j = i;
        for (; j > 0 && entries[j - 1].key > moving.key; --j) entries[j] = entries[j - 1];
        entries[j] = moving;
    }
}

void radix_sort(Entry* entries, Entry* scratch, std::size_t count) {
    if (count <= insertion_limit) return insertion_sort(entries, count);
    std::uint64_t low = entries[0].key, high = low;
    for (std::size_t i = 1; i < count; ++i) {
        low = std::min(low, entries[i].key);
        high = std::max(high, entries[i].key);
    }
    if (low == high) return;
    const std::size_t digits = std::clamp<std::size_t>(std::bit_ceil(count / 4), 64, most_digits);
    const int shift = std::max(0, static_cast<int>(std::bit_width(high - low)) - static_cast<int>(std::bit_width(digits - 1)));
    std::array<std::uint32_t, most_digits + 1> end{};
    for (std::size_t i = 0; i < count; ++i) ++end[((entries[i].key - low) >> shift) + 1];
    for (std::size_t d = 0; d < digits; ++d) end[d + 1] += end[d];
    for (std::size_t i = 0; i < count; ++i) scratch[end[(entries[i].key - low) >> shift]++] = entries[i];
    std::copy(scratch, scratch + count, entries);
    if (shift == 0) return;
    for (std::size_t d = 0, begin = 0; d < digits; ++d) {
        const std::size_t size = end[d] - begin;
        if (size > 1) radix_sort(entries + begin, scratch + begin, size);
        begin = end[d];
    }
}

struct Scratch {
    std::vector<Entry> entries;
    std::vector<Entry> spare;
    std::vector<double> column;
    std::vector<std::int32_t> index;

    void reserve(std::size_t count) {
        if (entries.size() >= count) return;
        entries.resize(count);
        spare.resize(count);
        column.resize(count);
        index.resize(count);
    }
};

template <class T>
void permute(T* column, const Entry* order, std::size_t count, T* copy) {
    std::copy(column, column + count, copy);
    for (std::size_t i = 0; i < count; ++i) column[i] = copy[order[i].place];
}

void sort_bucket(const SideColumns& side, std::size_t begin, std::size_t end, bool is_long, Scratch& scratch) {
    const std::size_t count = end - begin;
    const auto fires_first = [&](double a, double b) { return is_long ? a > b : a < b; };
    if (std::is_sorted(side.trigger + begin, side.trigger + end, fires_first)) return;
    scratch.reserve(count);
    Entry* entries = scratch.entries.data();
    for (std::size_t i = 0; i < count; ++i) {
        entries[i] = {firing_key(side.trigger[begin + i], is_long), static_cast<std::uint32_t>(i)};
    }
    radix_sort(entries, scratch.spare.data(), count);
    for (std::size_t i = 0; i < count; ++i) side.trigger[begin + i] = trigger_of(entries[i].key, is_long);
    permute(side.quantity + begin, entries, count, scratch.column.data());
    if (side.bankruptcy) permute(side.bankruptcy + begin, entries, count, scratch.column.data());
    permute(side.index + begin, entries, count, scratch.index.data());
}

// ---------------------------------------------------------------------------------------------------------------------
// Spreading the positions over buckets of neighbouring triggers

// 2^bits equal ranges of keys between two sampled quantiles, and one bucket on either side for what lies outside.
struct Spread {
    std::uint64_t low = 0;
    std::uint64_t high = ~std::uint64_t{0};
    int bits;
    int shift;

    Spread(std::vector<std::uint64_t> sample, int bits_) : bits(bits_) {
        if (!sample.empty()) {
            std::sort(sample.begin(), sample.end());
            low = sample[sample.size() / 100];
            high = sample[sample.size() - 1 - sample.size() / 100];
        }
        shift = std::max(0, static_cast<int>(std::bit_width(high - low)) - bits);
    }
    std::size_t buckets() const { return (std::size_t{1} << bits) + 2; }
    std::size_t bucket(std::uint64_t key) const {
        if (key < low) return 0;
        if (key > high) return buckets() - 1;
        return 1 + static_cast<std::size_t>((key - low) >> shift);
    }
};

constexpr int most_bucket_bits = 11;
constexpr std::size_t positions_per_bucket = 1024;
constexpr std::size_t sample_size = 4096;
constexpr std::size_t chunk_least = 1 << 16;

}  // namespace

std::size_t count_longs(const std::int8_t* side, std::size_t count) {
    std::size_t longs = 0;
    for (std::size_t i = 0; i < count; ++i) longs += side[i] > 0;
    return longs;
}

void sort_positions(const PositionColumns& in, const SideColumns& longs, const SideColumns& shorts, int threads,
                    const Poll& poll) {
    if (in.count < chunk_least) threads = 1;
    std::vector<std::uint64_t> long_sample, short_sample;
    const std::size_t stride = std::max<std::size_t>(1, in.count / sample_size);
    for (std::size_t i = 0; i < in.count; i += stride) {
        (in.side[i] > 0 ? long_sample : short_sample).push_back(firing_key(in.trigger[i], in.side[i] > 0));
    }
    const int bits = std::min(most_bucket_bits, static_cast<int>(std::bit_width(in.count / positions_per_bucket)));
    const Spread long_spread(std::move(long_sample), bits), short_spread(std::move(short_sample), bits);
    const std::size_t per_side = long_spread.buckets(), buckets = 2 * per_side;
    const auto bucket_of = [&](std::size_t i) {
        const bool is_long = in.side[i] > 0;
        const std::uint64_t key = firing_key(in.trigger[i], is_long);
        return is_long ? long_spread.bucket(key) : per_side + short_spread.bucket(key);
    };

    // Count, then scatter, chunk by chunk: a chunk's positions follow those of the chunks before it in every bucket.
    const std::size_t chunks =
        std::clamp<std::size_t>(in.count / chunk_least, 1, static_cast<std::size_t>(std::max(threads, 1)) * 4);
    const auto chunk_begin = [&](std::size_t c) { return in.count * c / chunks; };
    std::vector<std::uint32_t> next(chunks * buckets);
    parallel_for(chunks, threads, poll, [&](std::size_t c) {
        std::uint32_t* count = next.data() + c * buckets;
        for (std::size_t i = chunk_begin(c); i < chunk_begin(c + 1); ++i) ++count[bucket_of(i)];
    });
    std::vector<std::uint32_t> begin(buckets), end(buckets);
    for (std::size_t b = 0, at = 0; b < buckets; ++b) {
        if (b == per_side) at = 0;
        begin[b] = static_cast<std::uint32_t>(at);
        for (std::size_t c = 0; c < chunks; ++c) {
            const std::uint32_t count = next[c * buckets + b];
            next[c * buckets + b] = static_cast<std::uint32_t>(at);
            at += count;
        }
        end[b] = static_cast<std::uint32_t>(at);
    }
    const std::size_t long_count = end[per_side - 1], short_count = end[buckets - 1];
    parallel_for(chunks, threads, poll, [&](std::size_t c) {
        std::uint32_t* place = next.data() + c * buckets;
        for (std::size_t i = chunk_begin(c); i < chunk_begin(c + 1); ++i) {
            const std::size_t to = place[bucket_of(i)]++;
            const bool is_long = in.side[i] > 0;
            const SideColumns& side = is_long ? longs : shorts;
            // Only if another thread changed the input since it was counted; then the result is lost, but nothing else.
            if (to >= (is_long ? long_count : short_count)) continue;
            side.trigger[to] = in.trigger[i];
            side.quantity[to] = in.quantity[i];
            if (in.bankruptcy) side.bankruptcy[to] = in.bankruptcy[i];
            side.index[to] = static_cast<std::int32_t>(i);
        }
    });

    // Neighbours together: fewer, larger tasks.
    const std::size_t tasks = in.count < chunk_least ? 1 : std::min<std::size_t>(buckets, 128);
    parallel_for(tasks, threads, poll, [&](std::size_t task) {
        Scratch scratch;
        for (std::size_t b = buckets * task / tasks; b < buckets * (task + 1) / tasks; ++b) {
            const bool is_long = b < per_side;
            sort_bucket(is_long ? longs : shorts, begin[b], end[b], is_long, scratch);
        }
    });
}

std::size_t count_live(const double* trigger, std::size_t count) {
    const auto never = [](double t) { return t == 0.0 || t == math::infinity; };
    return static_cast<std::size_t>(std::partition_point(trigger, trigger + count, [&](double t) { return !never(t); }) - trigger);
}

void accumulate(const double* quantity, const double* trigger, std::size_t count, std::size_t live,
                double* quantity_sum, double* notional_sum) {
    RunningSum q, n;
    quantity_sum[0] = notional_sum[0] = 0.0;
    for (std::size_t i = 0; i < live; ++i) {
        quantity_sum[i + 1] = q.add(quantity[i]);
        notional_sum[i + 1] = n.add(quantity[i] * trigger[i]);
    }
    for (std::size_t i = live; i < count; ++i) {
        quantity_sum[i + 1] = q.add(quantity[i]);
        notional_sum[i + 1] = n.value();
    }
}

}  // namespace flushpoint
