// A rival: longs that are closed slice by slice, over std::priority_queue.
//
//     priority_queue BOOK STARTS fraction coefficient fund
//
// BOOK holds the columns trigger price, quantity and bankruptcy price, as raw doubles one after another; STARTS the
// exogenous prices that follow each other. Prints seconds of processor time (the queue as it stands at first is made
// beforehand), then slices, waves, positions, final price, quantity, proceeds, shortfall, surplus, the fund at the end
// and unpaid loss.
#include <algorithm>
#include <ctime>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <queue>
#include <utility>
#include <vector>

namespace {

struct Position {
    double trigger, quantity, bankruptcy, rate, original;
    std::int32_t place;
    bool hit;
};

struct FiresLater {
    bool operator()(const Position& a, const Position& b) const {
        return a.trigger == b.trigger ? a.place > b.place : a.trigger < b.trigger;
    }
};

using Queue = std::priority_queue<Position, std::vector<Position>, FiresLater>;

struct Outcome {
    std::int64_t slices = 0, waves = 0, count = 0;
    double price = 0.0, quantity = 0.0, proceeds = 0.0, shortfall = 0.0, surplus = 0.0, fund = 0.0, unpaid = 0.0;
};

// What is traded from one exogenous price on, until nothing fires.
void cascade(Queue& queue, std::vector<Position>& wave, double fraction, double coefficient, double start, Outcome& out) {
    out.price = start * std::exp(-coefficient * out.quantity);
    for (;;) {
        wave.clear();
        while (!queue.empty() && queue.top().trigger >= out.price * (1.0 - 1e-12)) {
            wave.push_back(queue.top());
            queue.pop();
        }
        if (wave.empty()) return;
        ++out.waves;
        double price = out.price;
        for (Position& one : wave) {
            double size = one.quantity;
            if (out.price > one.bankruptcy) {
                size = fraction * one.quantity;
                if (one.quantity - size < 0.01 * one.original) size = one.quantity;
            }
            const double fall = price * std::expm1(-coefficient * size), money = -fall / coefficient;
            price += fall;
            const double gain = money - size * one.bankruptcy;
            out.quantity += size;
            out.proceeds += money;
            ++out.slices;
            out.count += !one.hit;
            one.hit = true;
            if (size < one.quantity) {
                one.quantity -= size;
                one.bankruptcy -= gain / one.quantity;
                one.trigger = one.bankruptcy / (1.0 - one.rate);
                if (one.trigger > 0.0) queue.push(one);
            } else if (gain < 0.0) {
                const double paid = std::min(out.fund, -gain);
                out.shortfall -= gain;
                out.fund -= paid;
                out.unpaid += -gain - paid;
            } else {
                out.surplus += gain;
                out.fund += gain;
            }
        }
        out.price = start * std::exp(-coefficient * out.quantity);
    }
}

std::vector<double> doubles(const char* path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<double> out(bytes.size() / sizeof(double));
    std::memcpy(out.data(), bytes.data(), out.size() * sizeof(double));
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) return 2;
    const std::vector<double> columns = doubles(argv[1]), starts = doubles(argv[2]);
    const std::size_t n = columns.size() / 3;
    const double fraction = std::atof(argv[3]), coefficient = std::atof(argv[4]);

    std::vector<Position> positions;
    for (std::size_t i = 0; i < n; ++i) {
        const double trigger = columns[i], quantity = columns[n + i], bankruptcy = columns[2 * n + i];
        positions.push_back({trigger, quantity, bankruptcy, (trigger - bankruptcy) / trigger, quantity,
                             static_cast<std::int32_t>(i), false});
    }
    Queue queue(FiresLater{}, std::move(positions));
    Outcome out;
    out.fund = std::atof(argv[5]);
    std::vector<Position> wave;
    const std::clock_t begin = std::clock();
    for (const double start : starts) cascade(queue, wave, fraction, coefficient, start, out);
    const std::clock_t end = std::clock();

    std::printf("%.9g", static_cast<double>(end - begin) / CLOCKS_PER_SEC);
    for (const std::int64_t x : {out.slices, out.waves, out.count}) std::printf(" %lld", static_cast<long long>(x));
    for (const double x : {out.price, out.quantity, out.proceeds, out.shortfall, out.surplus, out.fund, out.unpaid}) {
        std::printf(" %.17g", x);
    }
    std::printf("\n");
}
