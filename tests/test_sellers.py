"""Others who must sell: funds that target a volatility, against plain loops over steps."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flushpoint as fp
import reference
import reference_paths
from test_funding import books, lanes

DT = 600.0
STEPS = 40
NOBODY = fp.Book([], [], [])
FUNDS = fp.VolatilityTargeting(40.0, 0.8, 7_200.0, 1.5, 1_800.0, initial=1.2)


def fund(of: fp.VolatilityTargeting) -> reference_paths.Fund:
    initial = of.target if of.initial is None else of.initial
    return reference_paths.Fund(of.quantity, of.target, of.memory, of.most, of.interval, of.buys_back, initial)


def sellers() -> st.SearchStrategy[fp.VolatilityTargeting]:
    return st.builds(
        fp.VolatilityTargeting, st.sampled_from([1.0, 20.0, 150.0]), st.sampled_from([0.3, 1.0, 4.0]),
        memory=st.sampled_from([100.0, 3_600.0, 86_400.0]), most=st.sampled_from([0.5, 1.0, 3.0]),
        interval=st.sampled_from([600.0, 1_000.0, 3_600.0, 20_000.0]), buys_back=st.booleans(),
        initial=st.sampled_from([None, 0.5, 3.0]),
    )  # fmt: skip


# --- against the reference ---
@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000), given_=st.lists(sellers(), min_size=1, max_size=3),
    half_life=st.sampled_from([math.inf, 900.0]), size=st.sampled_from([0.002, 0.015]), funded=st.booleans(),
)  # fmt: skip
def test_equals_the_reference(
    seed: int, given_: list[fp.VolatilityTargeting], half_life: float, size: float, funded: bool
) -> None:
    rng = np.random.default_rng(seed)
    book, positions = books(rng)
    returns, sales = size * rng.standard_normal((4, STEPS)), np.zeros(STEPS)
    sales[[7, 20]] = [5.0, -3.0]
    market = fp.Market(100.0, fp.LinearImpact(1e-3), half_life, 1e-4, 0.001)
    plain = reference.Venue(100.0, reference.linear(1e-3), 1e-4, half_life, 0.001)
    script = fp.Script(DT * np.array([8, 21]), sell=[5.0, -3.0])
    e = fp.simulate(
        book, market, fp.Returns(returns), DT * STEPS, STEPS, 4, record="all", script=script, sellers=given_,
        columns=("targeting_quantity", "waves"), funding=fp.Funding(0.003, 2 * DT) if funded else None,
    )  # fmt: skip
    pays = [(lambda _: 0.003) if funded and i % 2 else None for i in range(STEPS)]
    for row, path in enumerate(returns.tolist()):
        expected = reference_paths.run(
            positions, plain, path, DT, sales=sales.tolist(), funding=pays, funds=[fund(one) for one in given_]
        )
        if expected.doubtful:
            continue
        assert e.prices[row] == pytest.approx(expected.prices, rel=1e-8)
        assert e.targeting_quantity[row] == pytest.approx(expected.targeted, rel=1e-7, abs=1e-7)
        assert (e.waves[row], e.liquidated_count[row]) == (len(expected.waves), sum(expected.closed))
        assert e.low_price[row] == pytest.approx(expected.low_price, rel=1e-8)
        assert e.high_price[row] == pytest.approx(expected.high_price, rel=1e-8)
        assert e.proceeds[row] == pytest.approx(expected.proceeds, rel=1e-7, abs=1e-8 * expected.gross)


@pytest.mark.parametrize("lane", lanes())
@pytest.mark.parametrize("half_life", [math.inf, 900.0])
def test_they_are_what_a_script_of_their_sales_is(lane: str, half_life: float) -> None:
    """Whatever the positions: what plain loops tell from the prices of a path, put into a script, makes that path."""
    book, options = lanes()[lane]
    process, others = fp.GBM(1.5), (FUNDS, fp.VolatilityTargeting(10.0, 2.0, 3_600.0, buys_back=False))
    arguments: Any = (book, fp.Market(100.0, fp.LinearImpact(1e-3), half_life), process, DT * STEPS, STEPS)
    options = {"seed": 5, "record": "all", "funding": fp.Funding(0.002, 1_800.0)} | options
    e: Any = fp.simulate(*arguments, 20, sellers=others, **options)
    assert e.waves.sum() > 20
    for path in (0, 7, 19):
        sold = reference_paths.orders([fund(one) for one in others], e.prices[path].tolist(), DT)
        assert e.targeting_quantity[path] == pytest.approx(sum(sold), rel=1e-9)
        script = fp.Script(DT * np.arange(1, STEPS + 1), sell=sold)
        scripted: Any = fp.simulate(*arguments, range(path, path + 1), script=script, **options)
        assert e.prices[path] == pytest.approx(scripted.prices[0], rel=1e-9)
        for name in ("low_price", "high_price", "long_quantity", "short_quantity", "long_notional", "proceeds"):
            assert getattr(e, name)[path] == pytest.approx(getattr(scripted, name)[0], rel=1e-8, abs=1e-8), name
        replayed = e.replay(path)
        assert replayed.price.tolist() == e.prices[path].tolist()
        assert replayed.targeting_quantity == e.targeting_quantity[path]
    if "venue" in options:
        e.check_balance()


# --- by hand ---
def test_a_fall_is_sold_in_the_next_step() -> None:
    """With a short memory volatility is that of the last step: 1 % in an hour is 0.01 sqrt(8760) a year."""
    funds = fp.VolatilityTargeting(100.0, 0.5, memory=1.0, interval=3_600.0)
    returns = fp.Returns([[0.0, -0.01, 0.0, 0.0, 0.0]])
    market = fp.Market(100.0, fp.LinearImpact(1e-6))
    e = fp.simulate(NOBODY, market, returns, 5 * 3_600.0, 5, 1, sellers=funds, record="all")
    left = 100 * 0.5 / (0.01 * math.sqrt(8_760))
    price = 100 * math.exp(-0.01)
    assert e.prices[0, :3] == pytest.approx([100.0, 100.0, price], rel=1e-12)
    assert e.prices[0, 3] == pytest.approx(price * math.exp(-1e-6 * (100 - left)), rel=1e-12)
    assert e.prices[0, 4] == pytest.approx(price, rel=1e-9)  # its own sale moved little, so that all is bought back
    assert e.targeting_quantity[0] == pytest.approx(0.0, abs=1e-9)
    stays = fp.VolatilityTargeting(100.0, 0.5, memory=1.0, interval=3_600.0, buys_back=False)
    e = fp.simulate(NOBODY, market, returns, 5 * 3_600.0, 5, 1, sellers=stays)
    assert e.targeting_quantity[0] == pytest.approx(100 - left)


def test_what_is_decided_at_the_end_is_not_traded() -> None:
    funds = fp.VolatilityTargeting(100.0, 0.5, memory=1.0, interval=3_600.0)
    market = fp.Market(100.0, fp.LinearImpact(1e-6))
    e = fp.simulate(NOBODY, market, fp.Returns([[0.0, 0.0, -0.1]]), 3 * 3_600.0, 3, 1, sellers=funds)
    assert e.targeting_quantity[0] == 0.0
    assert e.final_price[0] == pytest.approx(100 * math.exp(-0.1))


def test_their_sales_trigger_positions() -> None:
    book = fp.Book([1], [10.0], [95.0])
    funds = fp.VolatilityTargeting(100.0, 0.2, memory=1.0, interval=3_600.0)
    market = fp.Market(100.0, fp.LinearImpact(1e-3))
    arguments: Any = (book, market, fp.Returns([[-0.03, 0.0, 0.0]]), 3 * 3_600.0, 3, 1)
    assert fp.simulate(*arguments).long_count[0] == 0
    e = fp.simulate(*arguments, sellers=funds)
    assert e.long_count[0] == 1
    assert e.long_quantity[0] == 10.0  # without what the funds sold
    assert e.replay(0).waves["step"].tolist() == [2]


def test_a_market_used_up_tells_nothing() -> None:
    market = fp.Market(100.0, fp.EvaporatingImpact(0.01, 1.0), half_life=600.0)
    script = fp.Script([2 * DT], sell=150.0)  # the pole is at 100
    funds = fp.VolatilityTargeting(10.0, 0.5, 3_600.0, interval=DT)
    returns = 0.01 * np.random.default_rng(1).standard_normal((1, 20))
    e = fp.simulate(
        NOBODY, market, fp.Returns(returns), 20 * DT, 20, 1, sellers=funds, script=script, record="all"
    )  # fmt: skip
    assert e.prices[0, 2] == 0
    assert e.prices[0, 3] > 0
    sold = reference_paths.orders([fund(funds)], e.prices[0].tolist(), DT)
    assert sold[2] == 0
    assert sold[3] > 1
    assert e.targeting_quantity[0] == pytest.approx(sum(sold), rel=1e-9)


# --- promises ---
@pytest.mark.parametrize("lane", lanes())
def test_shards_and_threads_give_the_same_bits(lane: str) -> None:
    book, options = lanes()[lane]

    def run(**more: Any) -> Any:
        market = fp.Market(100.0, fp.LinearImpact(1e-3), half_life=7_200.0)
        return fp.simulate(
            book, market, fp.GBM(2.0), 86_400.0, 144, seed=3, sellers=(FUNDS, FUNDS), **options, **more,
            columns=("final_price", "liquidated_quantity", "targeting_quantity"),
        )  # fmt: skip

    whole = run(paths=30)
    assert run(paths=range(11)) + run(paths=range(11, 30)) == whole
    assert run(paths=30, threads=7) == whole
    assert len(set(whole.targeting_quantity.tolist())) == 30


def test_funds_too_small_to_matter_change_hardly_anything() -> None:
    book, _ = books(np.random.default_rng(1))
    arguments: Any = (book, fp.Market(100.0, fp.LinearImpact(2e-3)), fp.GBM(2.0), 86_400.0, 288, 300, 3)
    plain = fp.simulate(*arguments)
    e = fp.simulate(*arguments, sellers=fp.VolatilityTargeting(1e-300, 0.5))
    for name in plain:
        assert getattr(e, name) == pytest.approx(getattr(plain, name), rel=1e-12), name
    again = pickle.loads(pickle.dumps(e))
    assert again.targeting_quantity.tobytes() == e.targeting_quantity.tobytes()


# --- arguments ---
@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"quantity": 0.0}, ValueError, "quantity must be positive, was 0.0"),
        ({"quantity": -3.0}, ValueError, "quantity must be positive, was -3.0"),
        ({"target": math.nan}, ValueError, "target must be finite, was nan"),
        ({"memory": 0}, ValueError, "memory must be positive, was 0.0"),
        ({"most": math.inf}, ValueError, "most must be finite, was inf"),
        ({"interval": "daily"}, TypeError, "interval must be a real number, was 'daily'"),
        ({"target": 1e200}, ValueError, r"target must be at most 1e\+100, was 1e\+200"),
        ({"initial": 0.0}, ValueError, "initial must be positive, was 0.0"),
        ({"initial": 1e300}, ValueError, r"initial must be at most 1e\+100, was 1e\+300"),
        ({"target": 1e-300, "initial": 1e100}, ValueError, "target / initial. must be finite, was inf"),
        ({"quantity": 1e300, "initial": 1e10}, ValueError, "target / initial. must be finite, was inf"),
        ({"buys_back": 1}, TypeError, "buys_back must be True or False, was 1"),
    ],
)
def test_a_wrong_argument_is_named(change: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fp.VolatilityTargeting(**({"quantity": 1.0, "target": 0.5} | change))


def test_what_does_not_fit_a_run_is_refused() -> None:
    book = fp.Book([1], [1.0], [90.0])
    arguments: Any = (book, fp.Market(100.0, fp.LinearImpact(1e-3)), fp.GBM(1.0), 86_400.0, 24, 2, 1)
    with pytest.raises(ValueError, match=r"interval of sellers\[1\] must be at least a step, 3600 s, was 60"):
        fp.simulate(
            *arguments, sellers=[fp.VolatilityTargeting(1.0, 0.5), fp.VolatilityTargeting(1.0, 0.5, interval=60)]
        )
    with pytest.raises(
        ValueError, match=r"interval of sellers\[0\] must end before the last step, at 82800 s, was 86400"
    ):
        fp.simulate(*arguments, sellers=fp.VolatilityTargeting(1.0, 0.5, interval=86_400))
    with pytest.raises(ValueError, match="sellers must be left out where monitoring is 'bridge', was Vol"):
        fp.simulate(*arguments, "bridge", sellers=FUNDS)
    with pytest.raises(ValueError, match="sellers must hold at least one, was empty"):
        fp.simulate(*arguments, sellers=[])
    with pytest.raises(TypeError, match="sellers must be a VolatilityTargeting or a sequence of them, was float"):
        fp.simulate(*arguments, sellers=1.0)
    with pytest.raises(TypeError, match="sellers must be VolatilityTargeting, was float at index 1"):
        fp.simulate(*arguments, sellers=[FUNDS, 1.0])
    with pytest.raises(ValueError, match=r"columns must be among .*, was 'targeting_quantity' at index 0"):
        fp.simulate(*arguments, columns=["targeting_quantity"])
    e = fp.simulate(*arguments, sellers=fp.VolatilityTargeting(1.0, 0.5))
    assert "targeting_quantity" not in e
    assert e.summary(["targeting_quantity"])["targeting_quantity"]["count"] == 2
    with pytest.raises(AttributeError, match="no attribute 'targeting_quantity'"):
        fp.simulate(*arguments).targeting_quantity  # noqa: B018


def test_it_pickles_and_shows_itself() -> None:
    assert pickle.loads(pickle.dumps(FUNDS)) == FUNDS
    assert eval(repr(FUNDS), vars(fp)) == FUNDS
    assert repr(fp.VolatilityTargeting(5_000, 0.6)) == "VolatilityTargeting(5000.0, 0.6)"
    assert str(FUNDS) == (
        "funds with 40 units that target a volatility of 80 % a year\n"
        "  every 1,800 s they sell or buy to hold min(1.5, target / realised) of what they would at the target\n"
        "  realised volatility is 120 % at the start; moves have half their weight after 7,200 s"
    )
