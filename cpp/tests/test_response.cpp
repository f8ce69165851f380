// Every answer of the map against the cascade itself, bit for bit, for every instruction set.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "books.hpp"
#include "flushpoint/cascade.hpp"
#include "flushpoint/kernels.hpp"
#include "flushpoint/response.hpp"
#include "generator.hpp"
#include "impacts.hpp"
#include "maps.hpp"

namespace fp = flushpoint;

namespace {

constexpr double inf = fp::math::infinity;
constexpr double price = 100.0;

struct Case {
    std::string name;
    tests::SortedBook book;
    tests::Impact impact;
    fp::MarketData market() const { return impact.market(price, permanent, 0.0, mark_weight); }
    double permanent;
    double mark_weight;
};

// Strong enough an impact that runs of positions close together, and weak; one side empty, and both; triggers far from
// the price and close; large and tiny quantities side by side; the depth used up.
template <class Look>
void for_cases(Look&& look) {
    tests::Generator random(1);
    std::vector<tests::Impact> impacts = tests::one_of_each();
    impacts.push_back(tests::linear(0.0));
    impacts.push_back(tests::linear(0.01));
    impacts.push_back(tests::linear(1e-6));
    impacts.push_back(tests::power(1e-3, 0.25));
    impacts.push_back(tests::evaporating(0x1p-7, 1.0));
    for (const tests::Impact& impact : impacts) {
        for (const std::size_t count : {0, 1, 2, 40, 400, 3000}) {
            for (const double permanent : {0.0, 3e-4}) {
                for (const double mark_weight : {1.0, 0.4, 0.0}) {
                    const double depths[] = {0.9, 0.4, 1e-3, 1e-6}, totals[] = {200.0, 1.0, 1e-3};
                    tests::Positions in =
                        tests::random_positions(random, count, price, depths[random.below(4)], totals[random.below(3)]);
                    if (random.below(4) == 0) {
                        for (double& quantity : in.quantity) quantity = random.below(3) ? quantity : quantity * 1e-17;
                    }
                    look(Case{impact.name, tests::SortedBook(in), impact, permanent, mark_weight});
                }
            }
        }
    }
}

// A critical book: each position's trigger is where a shock of a tenth and the trades before it lead, so that all keys
// are one but for rounding.
Case critical(const tests::Impact& impact) {
    tests::Generator random(4);
    tests::Positions in;
    fp::with_market(impact.market(price), 1.0, [&](const auto& market) {
        for (const double sign : {1.0, -1.0}) {
            double sold = 0.0;
            for (int i = 0; i < 200; ++i) {
                const double mark = price * (1.0 - 0.1 * sign) * std::exp(-market.displacement({sold, sold}));
                if (!(mark > 0.0 && mark < inf)) break;
                in.add(sign > 0.0 ? +1 : -1, 0.3 + random.uniform(), mark);
                sold += sign * in.quantity.back();
            }
        }
    });
    return {impact.name + ", critical", tests::SortedBook(in), impact, 0.0, 1.0};
}

// The doubles next to a step's key, and the key itself
std::vector<double> beside(double x) {
    std::vector<double> out{x};
    for (const double to : {-inf, inf}) {
        double at = x;
        for (int i = 0; i < 3; ++i) out.push_back(at = std::nextafter(at, to));
    }
    return out;
}
// A little to either side
std::vector<double> around(double x) {
    std::vector<double> out;
    for (const double far : {1e-13, 1e-12, 1e-9, 1e-4}) {
        out.push_back(x * (1.0 + far));
        out.push_back(x * (1.0 - far));
    }
    return out;
}
std::vector<double> beside_and_around(double x) {
    std::vector<double> out = beside(x);
    for (const double y : around(x)) out.push_back(y);
    return out;
}

// At most about 40 of the rows, first and last among them
template <class Look>
void for_some_rows(const std::vector<fp::Step>& rows, Look&& look) {
    const std::size_t stride = rows.size() / 40 + 1;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if ((i % stride == 0 || i + 2 >= rows.size()) && std::isfinite(rows[i].key)) look(rows[i].key);
    }
}

// How many answers differ from the cascade's
template <class Scenario>
int differences(const Case& c, const std::vector<double>& questions, const tests::AnswerColumns& got, Scenario&& scenario) {
    int count = 0;
    std::vector<fp::Wave> waves;
    for (std::size_t i = 0; i < questions.size(); ++i) {
        waves.clear();
        const fp::CascadeTotals t = fp::cascade(c.book.view(), c.market(), scenario(questions[i]), waves);
        const auto closed = static_cast<std::int64_t>(t.longs_closed + t.shorts_closed);
        const bool same = got.closed[i] == closed && got.final_price[i] == t.final_price;
        if (!same && count++ == 0) {
            MESSAGE(c.name << ": question " << doctest::toString(questions[i]) << ", map " << got.closed[i] << " at "
                           << got.final_price[i] << ", cascade " << closed << " at " << t.final_price);
        }
    }
    return count;
}

void check_shocks(const Case& c) {
    const fp::KernelList kernels = fp::available_kernels();
    CAPTURE(c.name);
    CAPTURE(c.permanent);
    CAPTURE(c.mark_weight);
    CAPTURE(c.book.longs.size());
    const fp::MarketData market = c.market();
    const fp::SideView sides[2] = {c.book.longs.view(), c.book.shorts.view()};
    const tests::Steps longs(fp::shock_steps(sides[0], market, false, 2, {}));
    const tests::Steps shorts(fp::shock_steps(sides[1], market, true, 2, {}));

    std::vector<double> questions{0.0, -0.0, -0.999999, 10.0, -1e-15, 1e-15, -1e-300, 1e-300};
    tests::Generator random(2);
    for (int i = 0; i < 100; ++i) questions.push_back(random.between(-0.95, 1.0));
    for (const double trigger : {90.0, 60.0, 110.0, 140.0}) questions.push_back(trigger / price - 1.0);
    // The start price of a step's key, less the slack; then the shock that leads there
    for_some_rows(longs.rows(), [&](double key) {
        for (const double shock : beside_and_around(key / (1.0 - fp::tie) / price - 1.0)) questions.push_back(shock);
    });
    for_some_rows(shorts.rows(), [&](double key) {
        for (const double shock : beside_and_around(-key / (1.0 + fp::tie) / price - 1.0)) questions.push_back(shock);
    });

    std::vector<std::vector<double>> columns;  // two of each instruction set
    std::vector<tests::AnswerColumns> answers;
    for (std::size_t k = 0; k < kernels.count; ++k) {
        const fp::Kernels& kernel = *kernels.items[k];
        CAPTURE(kernel.name);
        for (const bool is_short : {false, true}) {
            const fp::SideView& side = sides[is_short];
            std::vector<double> keys(side.count), factors(side.count);
            // In two parts, as blocks are
            const std::size_t cut = side.count / 3;
            kernel.shock_columns(side, market, is_short, 0, cut, keys.data(), factors.data());
            kernel.shock_columns(side, market, is_short, cut, side.count, keys.data(), factors.data());

            // Rows are the running minima of the keys.
            const std::vector<fp::Step>& rows = (is_short ? shorts : longs).rows();
            bool right = rows.back().key == -inf;
            std::size_t row = 0;
            double least = inf;
            for (std::size_t i = 0; i < side.count; ++i) {
                if (!(keys[i] < least)) continue;
                least = keys[i];
                right = right && row < rows.size() && tests::same_bits(rows[row].key, keys[i]) &&
                        tests::same_bits(rows[row].price_factor, factors[i]) &&
                        rows[row].closed == static_cast<std::int64_t>(i);
                ++row;
            }
            CHECK(right);
            if (least > -inf) CHECK(row + 1 == rows.size());
            keys.insert(keys.end(), factors.begin(), factors.end());
            columns.push_back(keys);
        }
        tests::AnswerColumns got(questions.size());
        kernel.answer_shocks(longs.view(), shorts.view(), price, {questions.data(), questions.size()}, got.view());
        CHECK(differences(c, questions, got, [](double shock) { return fp::Scenario{shock, 0.0, 0.0}; }) == 0);
        answers.push_back(got);
    }
    for (std::size_t k = 1; k < kernels.count; ++k) {
        CHECK(answers[k].closed == answers[0].closed);
        CHECK(tests::same_bits(answers[k].final_price, answers[0].final_price));
        CHECK(tests::same_bits(columns[2 * k], columns[0]));
        CHECK(tests::same_bits(columns[2 * k + 1], columns[1]));
    }
    // The public function: whatever instruction set and threads
    tests::AnswerColumns threaded(questions.size());
    fp::answer_shocks(longs.view(), shorts.view(), price, {questions.data(), questions.size()}, threaded.view(), 3, {});
    CHECK(threaded.closed == answers[0].closed);
    CHECK(tests::same_bits(threaded.final_price, answers[0].final_price));
}

// `sales`: the sizes to ask for by a step's key
template <class Sales>
void check_sales(const Case& c, Sales&& sales) {
    CAPTURE(c.name);
    CAPTURE(c.permanent);
    CAPTURE(c.mark_weight);
    CAPTURE(c.book.longs.size());
    const fp::MarketData market = c.market();
    const tests::Steps longs(fp::sale_steps(c.book.longs.view(), market, false, 2, {}));
    const tests::Steps shorts(fp::sale_steps(c.book.shorts.view(), market, true, 2, {}));
    std::vector<double> questions{0.0, -0.0, 1e-300, -1e-300, 1e-9, -1e-9, 1e3, -1e3, 1e6, -1e6};
    tests::Generator random(3);
    for (int i = 0; i < 100; ++i) questions.push_back(random.between(-400.0, 400.0));
    for (int i = 0; i < 100; ++i) questions.push_back(random.between(-1.0, 1.0) * random.spread(-20, 0));
    for_some_rows(longs.rows(), [&](double key) {
        for (const double sale : sales(-key)) questions.push_back(std::fmax(sale, 0.0));
    });
    for_some_rows(shorts.rows(), [&](double key) {
        for (const double sale : sales(key)) questions.push_back(std::fmin(sale, 0.0));
    });
    tests::AnswerColumns got(questions.size());
    fp::answer_sales(longs.view(), shorts.view(), c.book.view(), market, {questions.data(), questions.size()},
                     got.view(), 3, {});
    CHECK(differences(c, questions, got, [](double sale) { return fp::Scenario{0.0, sale, 0.0}; }) == 0);
}

}  // namespace

TEST_CASE("shocks: the map equals the cascade on every instruction set") {
    const fp::KernelList kernels = fp::available_kernels();
    REQUIRE(kernels.count >= 1);
    CHECK(std::string(kernels.items[0]->name) == "baseline");
    for_cases(check_shocks);
    for (const tests::Impact& impact : tests::one_of_each()) check_shocks(critical(impact));
}

TEST_CASE("sales: the map equals the cascade") {
    for_cases([](const Case& c) { check_sales(c, beside_and_around); });
    for (const tests::Impact& impact : tests::one_of_each()) check_sales(critical(impact), around);
}

TEST_CASE("sales: the map equals the cascade within rounding of many keys at once") {
    for (const tests::Impact& impact : tests::one_of_each()) check_sales(critical(impact), beside);
}

TEST_CASE("tables of extreme rows lead to the right row") {
    const auto step = [](double key, std::int64_t closed) { return fp::Step{key, 1.0, closed}; };
    std::vector<std::vector<fp::Step>> all{
        {step(-inf, 0)},
        {step(1.0, 0), step(-inf, 1)},
        {step(1e300, 0), step(1.0, 1), step(5e-324, 2), step(0.0, 3), step(-1e-300, 4), step(-1e300, 5), step(-inf, 6)},
        {step(1.0, 0), step(std::nextafter(1.0, 0.0), 1), step(-inf, 2)},
    };
    std::vector<fp::Step> outliers;  // nearly all of them in one spot
    for (int i = 0; i < 5000; ++i) outliers.push_back(step(i < 3 ? 1e9 - i : i < 4990 ? 100.0 - 1e-9 * i : -1e12 * i, i));
    outliers.push_back(step(-inf, 5000));
    all.push_back(outliers);
    for (const std::vector<fp::Step>& rows : all) {
        fp::StepsView view = fp::table_layout(rows.data(), rows.size());
        std::vector<std::int32_t> first(view.slots + 1);
        fp::fill_table(view, first.data());
        view.first = first.data();
        std::vector<double> keys{1e308, -1e308, 0.0, 1.0, 50.0, inf, fp::math::not_a_number};
        for (const fp::Step& row : rows) {
            if (row.key == -inf) continue;
            for (const double key : beside_and_around(row.key)) {
                if (std::isfinite(key)) keys.push_back(key);
            }
        }
        bool right = true;
        for (const double key : keys) {
            std::size_t expected = 0;
            while (rows[expected].key >= key) ++expected;
            const std::size_t at = fp::slot(view, key);
            right = right && at < view.slots &&
                    fp::find_row(view, static_cast<std::size_t>(first[at]), at, key) == expected;
        }
        CHECK(right);
        const std::size_t at = fp::slot(view, -inf);  // the largest question of all: every step
        CHECK(fp::find_row(view, static_cast<std::size_t>(first[at]), at, -inf) == view.steps);
    }
}
