// Five fixed jobs whose instructions are counted; see counts.py.
//
//     count_jobs JOB           runs it
//     count_jobs --compiler    prints what compiled it
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "books.hpp"
#include "flushpoint/cascade.hpp"
#include "flushpoint/paths.hpp"
#include "flushpoint/random_book.hpp"
#include "flushpoint/stress.hpp"
#include "flushpoint/venue_run.hpp"
#include "impacts.hpp"

namespace fp = flushpoint;

namespace {

constexpr double price = 100.0;

void ignore(std::size_t) {}

double cascades() {
    tests::Generator random(1);
    const tests::SortedBook book(tests::random_positions(random, 20'000, price, 0.3, 300.0));
    const tests::Impact impact = tests::square_root(0.01, 2.0);
    std::vector<fp::Wave> waves;
    double sum = 0.0;
    for (int i = 0; i < 2'000; ++i) {
        waves.clear();
        sum += fp::cascade(book.view(), impact.market(price), {random.between(-0.2, 0.2), 0.0, 0.0}, waves).final_price;
    }
    return sum;
}

double random_books() {
    constexpr std::size_t count = 2'000;
    const double mean[] = {0.5}, none = 0.0, whole = 1.0;
    const fp::Law size({fp::LawKind::exponential, mean, 1});
    const fp::RandomBook book{{{false, -1.0, 2'000.0, fp::math::infinity, size, size}}, 7, 1e6};
    tests::Generator random(2);
    std::vector<double> shock(count), numbers[6];
    std::vector<std::int64_t> counts[3];
    for (double& s : shock) s = random.between(-0.2, 0.0);
    for (auto& column : numbers) column.resize(count);
    for (auto& column : counts) column.resize(count);
    bool exhausted[count], runaway[count];
    const tests::Impact impact = tests::linear(2e-4);
    fp::stress(book, impact.market(price), {{shock.data(), 1}, {&none, 0}, {&whole, 0}, 0.0, count},
               {{numbers[0].data(), numbers[1].data(), numbers[2].data(), numbers[3].data(), exhausted, counts[0].data(),
                 counts[1].data(), counts[2].data()},
                numbers[4].data(), numbers[5].data(), runaway},
               1, ignore);
    return numbers[0][0];
}

double paths(const tests::SortedBook& book, double deviation, std::size_t count, std::int64_t steps) {
    const tests::Impact impact = tests::linear(1e-4);
    const double parameters[] = {0.0, deviation};
    std::vector<double> final_price(count), low_price(count);
    fp::PathColumns columns{};
    columns.final_price = final_price.data();
    columns.low_price = low_price.data();
    const fp::PathJob job{book.venue_view(), nullptr, nullptr, nullptr, impact.market(price),
                          {fp::ProcessKind::gbm, parameters, nullptr, false, 0}, {11, false}, {60.0, 600.0, steps},
                          {nullptr, nullptr}, false};
    fp::simulate(job, 0, count, columns, {nullptr, 0, nullptr}, 1, ignore);
    return final_price[0];
}

// Nothing happens on most steps.
double quiet_paths() {
    tests::Generator random(3);
    tests::Positions in = tests::random_positions(random, 1'000, price, 0.3, 50.0);
    for (std::size_t i = 0; i < in.size(); ++i) in.trigger[i] += in.side[i] > 0 ? -0.03 * in.trigger[i] : 0.03 * price;
    return paths(tests::SortedBook(in), 5e-4, 2'000, 480);
}

// Cascades all the way, of many paths side by side.
double lively_paths() {
    tests::Generator random(5);
    return paths(tests::SortedBook(tests::random_positions(random, 20'000, price, 0.3, 300.0)), 1e-3, 1'000, 240);
}

double venues() {
    tests::Generator random(4);
    tests::Positions in = tests::random_positions(random, 5'000, price, 0.3, 300.0);
    for (std::size_t i = 0; i < in.size(); ++i) in.entry.push_back(price * random.between(0.85, 1.15));
    const tests::SortedBook book(in);
    const tests::Impact impact = tests::square_root(0.01, 2.0);
    fp::VenueData venue;
    venue.fund = 20.0;
    venue.fee_rate = 5e-4;
    venue.close = fp::CloseRule::fraction;
    venue.fraction = 0.5;
    venue.adl = fp::AdlRule::queue;
    double sum = 0.0;
    for (int i = 0; i < 60; ++i) {
        const fp::Scenario scenario{random.between(-0.2, 0.2), 0.0, 0.0};
        sum += fp::cascade(book.venue_view(), impact.market(price), venue, scenario, nullptr, nullptr, [] {}).ledger.fund;
    }
    return sum;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string job = argc == 2 ? argv[1] : "";
    if (job == "--compiler") {
        std::puts(__VERSION__);
        return 0;
    }
    for (const auto& [name, run] : {std::pair{"cascade", &cascades}, std::pair{"stress", &random_books},
                                    std::pair{"simulate", &quiet_paths}, std::pair{"visits", &lively_paths},
                                    std::pair{"venue", &venues}}) {
        if (job != name) continue;
        std::printf("%.17g\n", run());
        return 0;
    }
    std::fprintf(stderr, "usage: count_jobs cascade|stress|simulate|visits|venue|--compiler\n");
    return 2;
}
