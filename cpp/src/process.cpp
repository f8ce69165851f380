#include "flushpoint/process.hpp"

#include "flushpoint/kernels.hpp"
#include "flushpoint/math.hpp"

namespace flushpoint {

using random::Stream;

// The streams of driver k stand 256 k further on.
random::Generator<std::uint64_t> Process::generator(std::uint64_t numbers, Stream stream) const {
    const auto own = static_cast<Stream>(static_cast<std::uint32_t>(stream) + 256 * driver_);
    return random::generator(randomness_.seed, numbers, own);
}

void Process::start(std::uint64_t first, int count, double log_price, Walk& walk) {
    for (int lane = 0; lane < walk_lanes; ++lane) {
        // Lanes without a path of their own repeat the last one.
        const std::uint64_t path = first + static_cast<std::uint64_t>(lane < count ? lane : count - 1);
        const std::uint64_t numbers = randomness_.numbers(path);
        const auto own = generator(numbers, Stream::returns);
        for (int word = 0; word < 4; ++word) walk.generator[word][lane] = own.s[word];
        walk.log_price[lane] = log_price;
        walk.sign[lane] = randomness_.antithetic && path % 2 == 1 ? -1.0 : 1.0;
        LaneSource& source = source_[lane];
        switch (data_.kind) {
            case ProcessKind::jumps:
                source.generator = generator(numbers, Stream::jumps);
                source.until_jump = random::exponential(source.generator) / data_.parameters[2];
                break;
            case ProcessKind::garch: walk.variance[lane] = data_.parameters[4]; break;
            case ProcessKind::bootstrap:
                source.generator = generator(numbers, Stream::blocks);
                source.left = 0;
                break;
            case ProcessKind::returns:
                source.row = static_cast<const char*>(data_.returns) +
                             path * data_.columns * (data_.single ? sizeof(float) : sizeof(double));
                source.at = 0;
                break;
            case ProcessKind::bridge:
                source.at = 0;
                source.strayed = 0.0;
                break;
            default: break;
        }
    }
}

void Process::draw(Walk& walk, int steps) {
    const double* p = data_.parameters;
    const Kernels& kernel = kernels();
    switch (data_.kind) {
        case ProcessKind::gbm: kernel.normal_returns(walk, steps, p[0], p[1]); break;
        case ProcessKind::jumps:
            kernel.normal_returns(walk, steps, p[0], p[1]);
            add_jumps(walk, steps);
            break;
        case ProcessKind::student_t: kernel.student_returns(walk, steps, p[0], p[1], p[2]); break;
        case ProcessKind::garch: kernel.garch_returns(walk, steps, p); break;
        case ProcessKind::bootstrap: resample(walk, steps); break;
        case ProcessKind::returns: copy_returns(walk, steps); break;
        case ProcessKind::bridge:
            kernel.normal_returns(walk, steps, 0.0, 1.0);
            tie_down(walk, steps);
            break;
    }
}

void Process::advance(Walk& walk, int steps, const double* moves) {
    draw(walk, steps);
    if (moves) {
        for (int s = 0; s < steps; ++s) {
            for (int lane = 0; lane < walk_lanes; ++lane) walk.path[s][lane] += moves[s];
        }
    }
    kernels().accumulate(walk, steps);
}

void Process::add_jumps(Walk& walk, int steps) {
    const double rate = data_.parameters[2], mean = data_.parameters[3], deviation = data_.parameters[4];
    for (int lane = 0; lane < walk_lanes; ++lane) {
        LaneSource& source = source_[lane];
        while (source.until_jump <= steps) {
            // The jump at time t belongs to the step that ends next.
            const int step = static_cast<int>(source.until_jump);
            const double z = random::normals<double>(source.generator).first;
            walk.path[step < steps ? step : steps - 1][lane] += mean + deviation * (walk.sign[lane] * z);
            source.until_jump += random::exponential(source.generator) / rate;
        }
        source.until_jump -= steps;
    }
}

namespace {
double entry(const ProcessData& data, const void* row, std::size_t i) {
    return data.single ? static_cast<double>(static_cast<const float*>(row)[i]) : static_cast<const double*>(row)[i];
}
}  // namespace

void Process::resample(Walk& walk, int steps) {
    const double mean = data_.parameters[0];
    for (int lane = 0; lane < walk_lanes; ++lane) {
        LaneSource& source = source_[lane];
        for (int s = 0; s < steps; ++s) {
            if (source.left == 0) {
                source.at = random::below(source.generator, data_.columns);
                source.left = static_cast<std::size_t>(data_.parameters[1]);
            }
            walk.path[s][lane] = mean + entry(data_, data_.returns, source.at);
            source.at = source.at + 1 < data_.columns ? source.at + 1 : 0;
            --source.left;
        }
    }
}

// Turns normals into the steps of Brownian bridges: what is left of the noise comes back in equal parts, on average.
void Process::tie_down(Walk& walk, int steps) {
    const double deviation = data_.parameters[0], mean = data_.parameters[1];
    const double* given = static_cast<const double*>(data_.returns);
    const double* left = given + data_.columns;
    for (int lane = 0; lane < walk_lanes; ++lane) {
        LaneSource& source = source_[lane];
        for (int s = 0; s < steps; ++s, ++source.at) {
            const double noise = deviation * walk.path[s][lane];
            if (source.at >= data_.columns) {
                walk.path[s][lane] = mean + noise;
                continue;
            }
            const double remaining = left[source.at];
            const double strays = math::square_root((remaining - 1.0) / remaining) * noise - source.strayed / remaining;
            source.strayed += strays;
            walk.path[s][lane] = given[source.at] + strays;
        }
    }
}

void Process::copy_returns(Walk& walk, int steps) {
    for (int lane = 0; lane < walk_lanes; ++lane) {
        LaneSource& source = source_[lane];
        for (int s = 0; s < steps; ++s) walk.path[s][lane] = entry(data_, source.row, source.at++);
    }
}

}  // namespace flushpoint
