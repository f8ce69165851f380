#include "accounts.hpp"

#include "process.hpp"
#include "flushpoint/account_paths.hpp"

namespace flushpoint::bind {

namespace {

// (shock, sell, liquidity, refill, rounds or None), the first three with one entry a scenario and market
struct AccountScenarios {
    Doubles shock, sell, liquidity;
    fp::AccountScenarios view;

    AccountScenarios(const py::tuple& items, std::size_t markets)
        : shock(array_at<Doubles>(items, 0)), sell(array_at<Doubles>(items, 1)), liquidity(array_at<Doubles>(items, 2)) {
        const std::size_t n = length(shock);
        require(markets > 0 && n % markets == 0 && length(sell) == n && length(liquidity) == n,
                "_core: the columns must have one length");
        view = {shock.data(), sell.data(), liquidity.data(), items[3].cast<double>(), n / markets};
        const py::object rounds = items[4];
        if (!rounds.is_none()) view.rounds = rounds.cast<std::int64_t>();
    }
};

// The columns of one row, waves, of each position of accounts over several markets which share is open, of each such account
// whether it is a bank that defaulted, and of the books' positions what was not closed as a winner's.
py::dict cascade_accounts(const py::tuple& job, const py::tuple& scenario) {
    const AccountJob in(job);
    const AccountScenarios one(scenario, in.books.size());
    require(one.view.count == 1, "_core: a cascade has one scenario");
    AccountColumns out(1, in.view);
    out.markets.add("amplification", out.view.amplification);
    Doubles left = doubles(in.accounts.view.positions());
    double* open = left.mutable_data();
    py::array_t<bool> defaulted(static_cast<py::ssize_t>(in.accounts.view.count));
    bool* bankrupt = defaulted.mutable_data();
    std::size_t own = 0;
    for (const auto& book : in.books) own += book->positions.longs.view.count + book->positions.shorts.view.count;
    Doubles own_left = doubles(in.view.venue.closes_winners() ? own : 0);
    const fp::AccountEnds ends{open, bankrupt, own_left.mutable_data()};
    std::vector<fp::AccountWave> waves;
    {
        const py::none nobody;
        const py::gil_scoped_release release;
        fp::cascade(in.view, one.view, out.view, waves, ends, progress_of(nobody, 1));
    }
    py::dict found = out.result();
    found["wave_table"] = copied(waves);
    found["left"] = left;
    found["own_left"] = own_left;
    found["defaulted"] = defaulted;
    return found;
}

py::dict stress_accounts(const py::tuple& job, const py::tuple& scenarios, int threads, const py::object& progress) {
    const AccountJob in(job);
    const AccountScenarios all(scenarios, in.books.size());
    AccountColumns out(all.view.count, in.view);
    out.markets.add("amplification", out.view.amplification);
    {
        const py::gil_scoped_release release;
        fp::stress(in.view, all.view, out.view, fp::resolve_threads(threads), progress_of(progress, all.view.count));
    }
    return out.result();
}

// (drivers, loadings, offset): processes; one entry a market and driver; one a market
struct FactorModel {
    std::vector<ProcessArrays> drivers;
    Doubles loadings, offset;
    fp::FactorModel data;

    FactorModel(const py::tuple& items, std::size_t markets)
        : loadings(array_at<Doubles>(items, 1)), offset(array_at<Doubles>(items, 2)) {
        for (const py::handle process : items[0].cast<py::tuple>()) drivers.emplace_back(process.cast<py::tuple>());
        for (const ProcessArrays& process : drivers) data.drivers.push_back(process.data);
        require(length(offset) == markets && length(loadings) == markets * drivers.size(),
                "_core: the loadings do not fit the markets");
        data.loadings = loadings.data();
        data.offset = offset.data();
        data.markets = markets;
    }
};

// run: (job, model, (seed, antithetic), step, half-lives, steps)
py::dict simulate_accounts(const py::tuple& run, std::uint64_t first, std::size_t count, int threads,
                           const py::object& progress) {
    const AccountJob job(run[0].cast<py::tuple>());
    const FactorModel model(run[1].cast<py::tuple>(), job.books.size());
    const py::tuple randomness = run[2];
    const auto half_life = array_at<Doubles>(run, 4);
    const fp::AccountPathJob in{job.view,
                                model.data,
                                {randomness[0].cast<std::uint64_t>(), randomness[1].cast<bool>()},
                                run[3].cast<double>(),
                                {half_life.data(), half_life.data() + length(half_life)},
                                run[5].cast<std::int64_t>()};
    require(in.half_life.size() == job.books.size() && in.steps >= 1 && count >= 1,
            "_core: the half-lives do not fit the markets");
    for (const ProcessArrays& driver : model.drivers) {
        require(driver.reaches(first, count, in.steps), "_core: there are fewer returns than paths or steps");
    }
    AccountColumns out(count, in.accounts);
    out.markets.add("low_time", out.view.low_time);
    {
        const py::gil_scoped_release release;
        fp::simulate(in, first, count, out.view, fp::resolve_threads(threads), progress_of(progress, count));
    }
    return out.result();
}

// The quantity closed of each market at each row of marks.
Doubles forced_quantity(const py::tuple& job, const Doubles& marks) {
    const AccountJob in(job);
    const std::size_t n = length(marks), markets = in.books.size();
    require(n % markets == 0, "_core: the marks do not fit the markets");
    Doubles out = doubles(n);
    double* to = out.mutable_data();
    const py::gil_scoped_release release;
    for (std::size_t i = 0; i < n; i += markets) fp::forced(in.view, marks.data() + i, to + i);
    return out;
}

// Whether each account fails at these prices.
py::array_t<bool> failing_accounts(const py::tuple& accounts, const Doubles& prices) {
    const Accounts in(accounts);
    require(length(prices) == in.tiers.size(), "_core: the schedules do not fit the markets");
    py::array_t<bool> out(static_cast<py::ssize_t>(in.view.count));
    bool* to = out.mutable_data();
    const py::gil_scoped_release release;
    fp::failing(in.view, prices.data(), to);
    return out;
}

}  // namespace

void bind_accounts(py::module_& m) {
    PYBIND11_NUMPY_DTYPE(fp::AccountWave, round, market, price, quantity, count, notional);
    m.def("cascade_accounts", &cascade_accounts, py::arg("job"), py::arg("scenario"));
    m.def("stress_accounts", &stress_accounts, py::arg("job"), py::arg("scenarios"), py::arg("threads"),
          py::arg("progress"));
    m.def("simulate_accounts", &simulate_accounts, py::arg("run"), py::arg("first"), py::arg("count"), py::arg("threads"),
          py::arg("progress"));
    m.def("forced_quantity", &forced_quantity, py::arg("job"), py::arg("marks").noconvert());
    m.def("failing_accounts", &failing_accounts, py::arg("accounts"), py::arg("prices").noconvert());
}

}  // namespace flushpoint::bind
