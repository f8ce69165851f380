"""A venue: money settled close by close, positions closed in slices, and another library's liquidation engine."""

import time
from functools import partial

import numpy as np
import pytest

import flushpoint as fp
import second
from flushpoint.bench import numba_rivals, programs, workloads
from flushpoint.bench.workloads import CRASH, FUND, REFILL, SLIDE, settled_book, tiered_book
from harness import at_least, need_processors, no_goal


# --- a fund, own liquidity in every scenario, refill between waves ---
def settle_precisely(triggers, quantities, owed, fall, depth):
    """One scenario in long double: (shortfall, the fund at the end, what it could not pay)."""
    real = np.longdouble
    coefficient, start = real(workloads.COEFFICIENT) / real(depth), real(workloads.PRICE * (1.0 - fall))
    now, volume, gone = start, real(0), 0
    shortfall, fund, unpaid = real(0), real(FUND), real(0)
    while gone < triggers.size and triggers[gone] >= now:
        end = int(np.searchsorted(-triggers, -now, side="right"))
        sizes = quantities[gone:end].astype(real)
        before = np.append(real(0), np.cumsum(sizes))
        fetched = now * np.exp(-coefficient * before[:-1]) * -np.expm1(-coefficient * sizes) / coefficient
        for gain in fetched - sizes * owed[gone:end]:
            paid = min(fund, -gain)  # received, where it is negative
            fund -= paid
            if gain < 0:
                shortfall -= gain
                unpaid += -gain - paid
        volume, gone = (volume + before[-1]) * (1 - real(REFILL)), end
        now = start * np.exp(-coefficient * volume)
    return np.array([shortfall, fund, unpaid], real)


def race_settlement(judge, full, rival, threads, tolerance):
    count = 1_000_000 if full else 20_000
    book, *columns = settled_book(count)
    few, many = (200, 20_000) if full else (50, 200)
    market = workloads.MARKET
    falls, depths = workloads.draw_falls(many), workloads.draw_depths(many)
    price, closed, waves = np.empty(few), np.empty(few, np.int64), np.empty(few, np.int64)
    money = np.empty((few, 3))
    settle = partial(rival, *columns, falls[:few], depths[:few], REFILL, FUND, price, closed, waves, money)

    def ours(part=slice(None)):
        s = fp.stress(
            book,
            market,
            -falls[part],
            liquidity=depths[part],
            refill=REFILL,
            venue=fp.Venue(fund=FUND),
            threads=threads,
        )
        return s, np.stack([s.shortfall, s.fund_end, s.unpaid_loss], axis=1)

    settle()
    s, found = ours(slice(few))
    np.testing.assert_allclose(s.final_price, price, rtol=1e-12)
    np.testing.assert_array_equal(s.liquidated_count, closed)
    np.testing.assert_array_equal(s.waves, waves)
    traded = FUND + s.proceeds[:, None]
    assert (abs(found - money) <= tolerance * traded).all()
    assert (money[:, [0, 2]] > 0).any(axis=0).all()
    for i in np.argsort(-money[:, 0])[:3]:
        precise = settle_precisely(*columns, falls[i], depths[i])
        assert (abs(found[i] - precise) <= 1e-12 * traded[i]).all()
    s.check_balance()

    taken = judge.race(ours, settle, rounds=5)
    return taken.speedup * many / few, f"{taken.ours / many * 1e6:.3g} us a scenario, {s.waves.mean():.3g} waves"


@pytest.mark.parametrize("threads", [1, 2])
def test_settlement(judge, full, threads):
    if full:
        need_processors(2)
    speedup, note = race_settlement(judge, full, numba_rivals.settle_waves, threads, 1e-12)
    judge.report(
        "a fund, closes settled one by one", f"{threads} thread{'s' * (threads > 1)} against numba on two", speedup,
        at_least(100.0, "x", aim=1_000.0), note,
    )  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2])
def test_settlement_second_rival(judge, full, threads):
    """It subtracts nearly equal prices: its own distance from long double is about 1e-9 of the money traded."""
    second.rivals()
    speedup, note = race_settlement(judge, full, second.settle_waves, threads, 1e-8)
    judge.report(
        "a fund, closes settled one by one", f"{threads} thread{'s' * (threads > 1)} against the second numba on two",
        speedup, at_least(100.0, "x", aim=1_000.0), note,
    )  # fmt: skip


# --- positions that are closed slice by slice and return to the book ---
@pytest.fixture(scope="module")
def priority_queue(tmp_path_factory):
    """The rival in C++, compiled here."""
    if programs.compiler() is None:
        pytest.skip("no C++ compiler to compile the rival with: set CXX")
    return programs.compile_queue(tmp_path_factory.mktemp("rival"))


@pytest.mark.parametrize(("name", "job"), [("a crash", CRASH), ("a slide", SLIDE)])
def test_slices(judge, full, priority_queue, name, job):
    """Processor time on both sides, since both have one thread."""
    coefficient, fraction, starts = job
    count = 1_000_000 if full else 20_000
    book, *columns = settled_book(count)
    market = fp.Market(workloads.PRICE, fp.LinearImpact(coefficient))
    venue = fp.Venue(close="fraction", fraction=fraction, fund=FUND)
    if name == "a crash":
        run = partial(fp.stress, book, market, starts / workloads.PRICE - 1.0, threads=1, venue=venue)
    else:
        returns = np.diff(np.log(starts), prepend=np.log(workloads.PRICE))[None]
        run = partial(
            fp.simulate, book, market, fp.Returns(returns), steps=starts.size, paths=1, seed=0, threads=1, venue=venue
        )
    taken = {"ours": [], "rival": []}

    def both():
        seconds, told = programs.run_queue(priority_queue, columns, job)
        begin = time.process_time()
        result = run()
        taken["ours"].append(time.process_time() - begin)
        taken["rival"].append(seconds)
        return result, told

    ours, told = both()
    slices, *told = told
    names = ["waves", "liquidated_count", "final_price", "liquidated_quantity", "proceeds"]
    names += ["shortfall", "surplus", "fund_end", "unpaid_loss"]
    found = [ours[n][0] if n in ours else getattr(ours, n)[0] for n in names]
    assert found[:2] == told[:2]
    np.testing.assert_allclose(found[2:5], told[2:5], rtol=1e-11)
    np.testing.assert_allclose(found[5:], told[5:], rtol=0, atol=1e-11 * (FUND + told[4]))
    assert slices > 1.1 * told[1]
    ours.check_balance()

    judge.benchmark.pedantic(both, rounds=8, warmup_rounds=1)
    if judge.benchmark.disabled:
        return
    mine, theirs = min(taken["ours"]), min(taken["rival"])
    job = f"closed in slices of {fraction:.0%}, {name}"
    note = f"{slices:,.0f} slices of {told[1]:,.0f} positions, {told[0]:,.0f} waves"
    judge.report(job, "million slices a second, one thread", slices / mine / 1e6, at_least(10.0, ""), note)
    judge.report(job, "against std::priority_queue (C++)", theirs / mine, at_least(3.0, "x"))


# --- another library's liquidation engine ---
def test_lrvx(judge, full, tmp_path):
    """With a fund that pays for everything both close the same. One that cannot is used differently: there a close
    fetches the mark and is sold in any case, here it bears its own impact, and winners take the place of the sale.
    """
    if not programs.has_lrvx():
        pytest.skip("lrvx cannot be imported")
    count = 100_000 if full else 2_000
    columns = tiered_book(count)
    held = columns["quantity"].sum()
    coefficient, fall = 0.2 / held, 0.05
    rich, poor = 1e3 * workloads.PRICE * held, 1e-4 * workloads.PRICE * held
    book, market = fp.Book(**columns), fp.Market(workloads.PRICE, fp.LinearImpact(coefficient))
    drive = partial(programs.run_lrvx, tmp_path, columns, workloads.PRICE * (1 - fall), coefficient)

    _, price, closed, waves = drive(rich, deleverages=False)
    ours = fp.stress(book, market, [-fall], venue=fp.Venue(fund=rich, adl="queue"))
    # Its money is in whole units of 1e-8 or so: a trigger may be off by as much.
    assert abs(ours.liquidated_count[0] - closed) <= 1e-4 * count
    assert ours.final_price[0] == pytest.approx(price, rel=1e-4)
    assert abs(ours.waves[0] - waves) <= 1

    many = 100 if full else 5
    run = partial(
        fp.stress, book, market, np.full(many, -fall), venue=fp.Venue(fund=poor, adl="queue"), threads=1
    )  # fmt: skip
    ours = run()
    assert ours.adl_count.min() > 0
    theirs = []
    judge.benchmark.pedantic(
        run, setup=lambda: theirs.append(drive(poor, deleverages=True)[0]), rounds=3, warmup_rounds=1
    )
    if judge.benchmark.disabled:
        return
    each = judge.benchmark.stats.stats.min / many
    judge.report(
        f"tiers, fund and auto-deleveraging, {count:,} positions", "one thread against lrvx", min(theirs) / each,
        at_least(1_000.0, "x"), f"{each * 1e3:.3g} ms a scenario, {ours.adl_count[0]:,} winners reduced",
    )  # fmt: skip


def test_who_pays_costs_little(judge, full):
    """The same scenarios with and without a venue."""
    book, *_ = settled_book(1_000_000 if full else 20_000)
    market = workloads.MARKET
    shock = -workloads.draw_falls(20_000 if full else 100)
    plain = partial(fp.stress, book, market, shock, threads=1)
    settled = partial(plain, venue=fp.Venue(fund=FUND))
    np.testing.assert_array_equal(settled().final_price, plain().final_price)
    seconds = judge.in_turn({"plain": plain, "settled": settled}, calls=1, rounds=5)
    judge.report(
        "stress in one book", "with a fund against without", seconds["settled"] / seconds["plain"], no_goal("x")
    )
