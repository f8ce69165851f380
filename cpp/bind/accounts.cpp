#include "accounts.hpp"

namespace flushpoint::bind {

namespace {

// (shock, sell, liquidity, refill), the first three with one entry a scenario and market
struct AccountScenarios {
    Doubles shock, sell, liquidity;
    fp::AccountScenarios view;

    AccountScenarios(const py::tuple& items, std::size_t markets)
        : shock(array_at<Doubles>(items, 0)), sell(array_at<Doubles>(items, 1)), liquidity(array_at<Doubles>(items, 2)) {
        const std::size_t n = length(shock);
        require(markets > 0 && n % markets == 0 && length(sell) == n && length(liquidity) == n,
                "_core: the columns must have one length");
        view = {shock.data(), sell.data(), liquidity.data(), items[3].cast<double>(), n / markets};
    }
};

// The columns of one row, waves, and of each position of accounts over several markets which share is open.
py::dict cascade_accounts(const py::tuple& job, const py::tuple& scenario) {
    const AccountJob in(job);
    const AccountScenarios one(scenario, in.books.size());
    require(one.view.count == 1, "_core: a cascade has one scenario");
    AccountColumns out(1, in.view);
    out.markets.add("amplification", out.view.amplification);
    Doubles left = doubles(in.accounts.view.positions());
    double* open = left.mutable_data();
    std::vector<fp::AccountWave> waves;
    {
        const py::none nobody;
        const py::gil_scoped_release release;
        fp::cascade(in.view, one.view, out.view, waves, open, progress_of(nobody, 1));
    }
    py::dict found = out.result();
    found["wave_table"] = copied(waves);
    found["left"] = left;
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

// Equity less maintenance of each account, and how many fail.
py::tuple account_slack(const py::tuple& accounts, const Doubles& prices) {
    const Accounts in(accounts);
    require(length(prices) == in.tiers.size(), "_core: the schedules do not fit the markets");
    Doubles out = doubles(in.view.count);
    const std::size_t failing = fp::slack(in.view, prices.data(), out.mutable_data());
    return py::make_tuple(out, failing);
}

}  // namespace

void bind_accounts(py::module_& m) {
    PYBIND11_NUMPY_DTYPE(fp::AccountWave, round, market, price, quantity, count, notional);
    m.def("cascade_accounts", &cascade_accounts, py::arg("job"), py::arg("scenario"));
    m.def("stress_accounts", &stress_accounts, py::arg("job"), py::arg("scenarios"), py::arg("threads"),
          py::arg("progress"));
    m.def("account_slack", &account_slack, py::arg("accounts"), py::arg("prices").noconvert());
}

}  // namespace flushpoint::bind
