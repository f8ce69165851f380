#include "flushpoint/laws.hpp"

#include <algorithm>

#include "flushpoint/kernels.hpp"
#include "flushpoint/normal.hpp"

namespace flushpoint {

namespace {
double restricted_normal(random::Generator<std::uint64_t>& g, double from, double to) {
    // From the nearer tail, where probabilities keep their digits.
    const bool upper = from > 0.0;
    const double a = math::normal_cdf(upper ? -to : from), b = math::normal_cdf(upper ? -from : to);
    const double p = a + (b - a) * random::uniform(g);
    if (!(p > 0.0 && p < 1.0)) return from;  // an interval without probability
    const double z = math::normal_quantile(p);
    return std::clamp(upper ? -z : z, from, to);
}

double one_of(const double* values, std::size_t count, double u) {
    return values[std::min(static_cast<std::size_t>((1.0 - u) * static_cast<double>(count)), count - 1)];
}
}  // namespace

Law::Law(const LawData& data) : data_(data) {
    if (data.kind != LawKind::leveraged) return;
    const std::size_t classes = (data.count - 2) / 2, padded = (classes + 3) / 4 * 4;
    share_.assign(padded, 0.0);
    offset_.assign(padded, 0.0);
    std::copy_n(data.parameters + 2, classes, share_.begin());
    std::copy_n(data.parameters + 2 + classes, classes, offset_.begin());
    below_ = mixture(data.parameters[1]);
}

double Law::mixture(double x) const {
    return kernels().normal_mixture(share_.data(), offset_.data(), share_.size(), x, data_.parameters[0]);
}

double Law::cdf(double x) const {
    const double* p = data_.parameters;
    switch (data_.kind) {
        case LawKind::constant: return x >= p[0] ? 1.0 : 0.0;
        case LawKind::uniform: return x <= p[0] ? 0.0 : x >= p[1] ? 1.0 : (x - p[0]) / (p[1] - p[0]);
        case LawKind::exponential: return -math::expm1(-x / p[0]);
        case LawKind::log_normal: return x > 0.0 ? math::normal_cdf(math::log(x / p[0]) / p[1]) : 0.0;
        case LawKind::pareto: return x <= p[0] ? 0.0 : 1.0 - math::pow(p[0] / x, p[1]);
        case LawKind::table:
            return static_cast<double>(std::upper_bound(p, p + data_.count, x) - p) / static_cast<double>(data_.count);
        case LawKind::leveraged: break;
    }
    return x <= p[1] ? 0.0 : (mixture(x) - below_) / (1.0 - below_);
}

void Law::between(random::Generator<std::uint64_t>& g, double from, double to, double* out, std::size_t count) const {
    if (data_.kind == LawKind::leveraged) return classes_between(g, from, to, out, count);
    const double* p = data_.parameters;
    for (std::size_t i = 0; i < count; ++i) {
        const auto u = [&] { return random::uniform(g); };
        switch (data_.kind) {
            case LawKind::uniform: {
                const double low = std::max(from, p[0]), high = std::min(to, p[1]);
                out[i] = low + (high - low) * u();
                break;
            }
            case LawKind::exponential: {
                const double all = -math::expm1((from - to) / p[0]);
                out[i] = std::min(to, from - p[0] * math::log1p(all * (u() - 1.0)));
                break;
            }
            case LawKind::log_normal: {
                const double low = from > 0.0 ? math::log(from / p[0]) / p[1] : -math::infinity;
                const double z = restricted_normal(g, low, math::log(to / p[0]) / p[1]);
                out[i] = std::clamp(p[0] * math::exp(p[1] * z), from, to);
                break;
            }
            case LawKind::pareto: {
                const double low = math::pow(p[0] / std::max(from, p[0]), p[1]), high = math::pow(p[0] / to, p[1]);
                out[i] = std::clamp(p[0] * math::pow(high + (low - high) * u(), -1.0 / p[1]), from, to);
                break;
            }
            case LawKind::table: {
                const double* first = std::upper_bound(p, p + data_.count, from);
                out[i] = one_of(first, static_cast<std::size_t>(std::upper_bound(first, p + data_.count, to) - first), u());
                break;
            }
            default: out[i] = p[0];
        }
    }
}

void Law::classes_between(random::Generator<std::uint64_t>& g, double from, double to, double* out,
                          std::size_t count) const {
    const double spread = data_.parameters[0];
    from = std::max(from, data_.parameters[1]);
    // How much of each class lies in the interval, added up.
    std::vector<double> sum(share_.size() + 1, 0.0);
    for (std::size_t k = 0; k < share_.size(); ++k) {
        const double low = (from - offset_[k]) / spread, high = (to - offset_[k]) / spread;
        const double mass = low > 0.0 ? math::normal_cdf(-low) - math::normal_cdf(-high)
                                      : math::normal_cdf(high) - math::normal_cdf(low);
        sum[k + 1] = sum[k] + share_[k] * std::max(mass, 0.0);
    }
    for (std::size_t i = 0; i < count; ++i) {
        // The class with sum[k] < chosen <= sum[k + 1], then a place in it.
        const double chosen = sum.back() * random::uniform(g);
        const auto above = std::lower_bound(sum.begin() + 1, sum.end() - 1, chosen);
        const double offset = offset_[static_cast<std::size_t>(above - sum.begin()) - 1];
        out[i] = std::clamp(offset + spread * restricted_normal(g, (from - offset) / spread, (to - offset) / spread), from, to);
    }
}

void Law::draw(random::Generator<std::uint64_t>& g, random::Generator<random::Word4>& lanes, double* out,
               std::size_t count) const {
    const double* p = data_.parameters;
    if (data_.kind == LawKind::log_normal) return kernels().log_normals(lanes, p[0], p[1], out, count);
    for (std::size_t i = 0; i < count; ++i) {
        const double u = random::uniform(g);
        switch (data_.kind) {
            case LawKind::uniform: out[i] = p[0] + (p[1] - p[0]) * u; break;
            case LawKind::exponential: out[i] = -p[0] * math::log(u); break;
            case LawKind::pareto: out[i] = p[0] * math::exp(-math::log(u) / p[1]); break;
            case LawKind::table: out[i] = one_of(p, data_.count, u); break;
            default: out[i] = p[0];
        }
    }
}

}  // namespace flushpoint
