"""Bad input: the kind of error, the argument it names first, the value it shows and, for arrays, the index."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flushpoint as fp

NAN, INF = math.nan, math.inf


def book(**changes: Any) -> fp.Book:
    columns: dict[str, Any] = {"side": [1, 1, -1], "quantity": [1.0, 2.0, 3.0], "trigger_price": [90.0, 80.0, 120.0]}
    return fp.Book(**{**columns, **changes})


def market(**changes: Any) -> fp.Market:
    return fp.Market(**{"price": 100.0, "impact": fp.LinearImpact(0.01), **changes})


def cascade(**changes: Any) -> fp.CascadeResult:
    return fp.cascade(**{"book": book(), "market": market(), **changes})


def response() -> fp.Response:
    return fp.response(book(), market())


class Odd:
    def __repr__(self) -> str:
        return "<odd>"


Row = tuple[Callable[[], Any], type[Exception] | tuple[type[Exception], ...], str]
either = (TypeError, ValueError)

BOOK: list[Row] = [
    (lambda: book(side=[1, 0, -1]), ValueError, r"^side must .*\b0\b.* at index 1$"),
    (lambda: book(side=[1, 1, 2]), ValueError, r"^side must .*\b2\b.* at index 2$"),
    (lambda: book(side=[1, 1, -128]), ValueError, r"^side must .*-128.* at index 2$"),
    (lambda: book(side=np.array([1, 255, 1], np.uint8)), ValueError, r"^side must .*\b255\b.* at index 1$"),
    (lambda: book(side=np.array([1, 257, 1])), ValueError, r"^side must .*\b257\b.* at index 1$"),
    (lambda: book(side=[1.0, 0.5, 1.0]), either, r"^side must .*0\.5.* at index 1$"),
    (lambda: book(side=[1.0, NAN, 1.0]), either, r"^side must .*nan.* at index 1$"),
    (lambda: book(side=0), ValueError, r"^side must .*\b0\b"),
    (lambda: book(side=[True, False, True]), TypeError, r"^side must .*bool"),
    (lambda: book(side=["long", "long", "short"]), TypeError, r"^side must .*<U5"),
    (lambda: book(side="long"), TypeError, r"^side must "),
    (lambda: book(side=[1, None, -1]), TypeError, r"^side must .*object"),
    (lambda: book(side=[1j, 1, 1]), TypeError, r"^side must .*complex128"),
    (lambda: book(side=[[1, 1, -1]]), ValueError, r"^side must .*\(1, 3\)"),
    (lambda: book(side=[1, 1]), ValueError, r"^quantity must .*\b2\b.*\b3\b"),
    (lambda: book(quantity=[1.0, -3.0, 1.0]), ValueError, r"^quantity must .*positive.*-3\.0 at index 1$"),
    (lambda: book(quantity=[1.0, 1.0, 0.0]), ValueError, r"^quantity must .*positive.*0\.0 at index 2$"),
    (lambda: book(quantity=[NAN, 1.0, 1.0]), ValueError, r"^quantity must .*nan at index 0$"),
    (lambda: book(quantity=[1.0, INF, 1.0]), ValueError, r"^quantity must .*inf at index 1$"),
    (lambda: book(quantity=-1.0), ValueError, r"^quantity must .*-1\.0"),
    (lambda: book(quantity=[1.0, 1.0]), ValueError, r"^quantity must .*\b3\b.*\b2\b"),
    (lambda: book(quantity=np.ones((3, 1))), ValueError, r"^quantity must .*\(3, 1\)"),
    (lambda: book(quantity=["1", "2", "3"]), TypeError, r"^quantity must .*<U1"),
    (lambda: book(quantity=[1.0, None, 1.0]), TypeError, r"^quantity must .*object"),
    (lambda: book(quantity=[1.0, 1j, 1.0]), TypeError, r"^quantity must .*complex128"),
    (lambda: book(quantity=[True, True, True]), TypeError, r"^quantity must .*bool"),
    (lambda: book(quantity=np.array(["2025-01-01"] * 3, "M8[D]")), TypeError, r"^quantity must .*datetime64"),
    (lambda: book(quantity=[[1.0], [1.0, 2.0], [3.0]]), either, r"^quantity must "),
    (lambda: book(quantity=Odd()), TypeError, r"^quantity must .*odd"),
    (lambda: book(quantity=None), TypeError, r"^quantity must .*None"),
    (lambda: book(quantity=[1e308, 1e308, 1.0]), ValueError, r"^quantity must .*sum.*inf"),
    (lambda: book(quantity=1e300, trigger_price=1e300), ValueError, r"^quantity must .*sum.*inf"),
    (lambda: book(trigger_price=[90.0, NAN, 120.0]), ValueError, r"^trigger_price must .*nan at index 1$"),
    (lambda: book(trigger_price=[90.0, -1.0, 120.0]), ValueError, r"^trigger_price must .*-1\.0 at index 1$"),
    (lambda: book(trigger_price=[90.0, INF, 120.0]), ValueError, r"^trigger_price must .*inf at index 1$"),
    (lambda: book(trigger_price=[90.0, -INF, 120.0]), ValueError, r"^trigger_price must .*-inf at index 1$"),
    (lambda: book(trigger_price=[90.0, 80.0, 0.0]), ValueError, r"^trigger_price must .*0\.0 at index 2$"),
    (lambda: book(trigger_price=[90.0]), ValueError, r"^trigger_price must .*\b3\b.*\b1\b"),
    (lambda: book(trigger_price=np.full((1, 3), 90.0)), ValueError, r"^trigger_price must .*\(1, 3\)"),
    (lambda: book(trigger_price="90"), TypeError, r"^trigger_price must .*90"),
    (lambda: book(bankruptcy_price=[1.0, NAN, 1.0]), ValueError, r"^bankruptcy_price must .*nan at index 1$"),
    (lambda: book(bankruptcy_price=[1.0, 1.0, -1.0]), ValueError, r"^bankruptcy_price must .*-1\.0 at index 2$"),
    (lambda: book(bankruptcy_price=[INF, 1.0, 1.0]), ValueError, r"^bankruptcy_price must .*inf at index 0$"),
    (lambda: book(bankruptcy_price=[1.0, 1.0]), ValueError, r"^bankruptcy_price must .*\b3\b.*\b2\b"),
    (lambda: book(bankruptcy_price=["a", "b", "c"]), TypeError, r"^bankruptcy_price must .*<U1"),
    (lambda: book(entry_price=[1.0, NAN, 1.0]), ValueError, r"^entry_price must .*nan at index 1$"),
    (lambda: book(entry_price=[1.0, 0.0, 1.0]), ValueError, r"^entry_price must .*0\.0 at index 1$"),
    (lambda: book(entry_price=[1.0] * 4), ValueError, r"^entry_price must .*\b3\b.*\b4\b"),
    (lambda: book(group=[1, 2]), ValueError, r"^group must .*\b3\b.*\b2\b"),
    (lambda: book(group=[[1, 2, 3]]), ValueError, r"^group must .*\(1, 3\)"),
    (lambda: fp.Book([], [1.0], [90.0]), ValueError, r"^quantity must .*\b0\b.*\b1\b"),
    (lambda: book().alive(NAN), ValueError, r"^price must .*nan"),
    (lambda: book().alive(0.0), ValueError, r"^price must .*0\.0"),
    (lambda: book().alive(INF), ValueError, r"^price must .*inf"),
    (lambda: book().alive("90"), TypeError, r"^price must .*90"),
    (lambda: book().alive(np.array([90.0, 91.0])), TypeError, r"^price must .*90"),
    (lambda: book().scaled(-1.0, 100.0), ValueError, r"^open_interest must .*-1\.0"),
    (lambda: book().scaled(NAN, 100.0), ValueError, r"^open_interest must .*nan"),
    (lambda: book().scaled(INF, 100.0), ValueError, r"^open_interest must .*inf"),
    (lambda: book().scaled((1.0, 2.0, 3.0), 100.0), ValueError, r"^open_interest must .*\(1\.0, 2\.0, 3\.0\)"),
    (lambda: book().scaled((1.0, "2"), 100.0), TypeError, r"^open_interest must .*2"),
    (lambda: book().scaled(1.0, -5.0), ValueError, r"^price must .*-5\.0"),
    (lambda: book().open_interest(NAN), ValueError, r"^price must .*nan"),
    (lambda: book().open_interest([100.0, -1.0]), ValueError, r"^price must .*-1\.0 at index 1$"),
    (lambda: book().open_interest("x"), TypeError, r"^price must .*x"),
    (lambda: book().heatmap([1.0]), ValueError, r"^edges must .*\(1,\)"),
    (lambda: book().heatmap(1.0), ValueError, r"^edges must .*\(\)"),
    (lambda: book().heatmap([1.0, 3.0, 2.0]), ValueError, r"^edges must .*2\.0 at index 2$"),
    (lambda: book().heatmap([1.0, 1.0]), ValueError, r"^edges must .*1\.0 at index 1$"),
    (lambda: book().heatmap([1.0, NAN]), ValueError, r"^edges must .*nan at index 1$"),
    (lambda: book().heatmap(np.ones((2, 2))), ValueError, r"^edges must .*\(2, 2\)"),
    (lambda: book().heatmap(["a", "b"]), TypeError, r"^edges must .*<U1"),
]

IMPACT: list[Row] = [
    (lambda: fp.LinearImpact(-0.1), ValueError, r"^coefficient must .*-0\.1"),
    (lambda: fp.LinearImpact(NAN), ValueError, r"^coefficient must .*nan"),
    (lambda: fp.LinearImpact(INF), ValueError, r"^coefficient must .*inf"),
    (lambda: fp.LinearImpact("0.1"), TypeError, r"^coefficient must .*0\.1"),
    (lambda: fp.LinearImpact(None), TypeError, r"^coefficient must .*None"),
    (lambda: fp.LinearImpact(True), TypeError, r"^coefficient must .*True"),
    (lambda: fp.LinearImpact(1j), TypeError, r"^coefficient must .*1j"),
    (lambda: fp.LinearImpact([0.1, 0.2]), TypeError, r"^coefficient must .*0\.1"),
    (lambda: fp.PowerImpact(-1.0, 0.5), ValueError, r"^coefficient must .*-1\.0"),
    (lambda: fp.PowerImpact(1.0, 0.0), ValueError, r"^exponent must .*0\.0"),
    (lambda: fp.PowerImpact(1.0, -0.5), ValueError, r"^exponent must .*-0\.5"),
    (lambda: fp.PowerImpact(1.0, NAN), ValueError, r"^exponent must .*nan"),
    (lambda: fp.PowerImpact(1.0, INF), ValueError, r"^exponent must .*inf"),
    (lambda: fp.SquareRootImpact(-0.01, 1.0), ValueError, r"^daily_volatility must .*-0\.01"),
    (lambda: fp.SquareRootImpact(NAN, 1.0), ValueError, r"^daily_volatility must .*nan"),
    (lambda: fp.SquareRootImpact(0.01, 0.0), ValueError, r"^daily_volume must .*0\.0"),
    (lambda: fp.SquareRootImpact(0.01, -2.0), ValueError, r"^daily_volume must .*-2\.0"),
    (lambda: fp.SquareRootImpact(0.01, INF), ValueError, r"^daily_volume must .*inf"),
    (lambda: fp.SquareRootImpact(0.01, 1.0, prefactor=-1.0), ValueError, r"^prefactor must .*-1\.0"),
    (lambda: fp.SquareRootImpact(0.01, 1.0, core=-1.0), ValueError, r"^core must .*-1\.0"),
    (lambda: fp.SquareRootImpact(0.01, 1.0, core=NAN), ValueError, r"^core must .*nan"),
    (lambda: fp.EvaporatingImpact(-1.0, 1.0), ValueError, r"^coefficient must .*-1\.0"),
    (lambda: fp.EvaporatingImpact(1.0, 0.0), ValueError, r"^thinning must .*0\.0"),
    (lambda: fp.EvaporatingImpact(1.0, -2.0), ValueError, r"^thinning must .*-2\.0"),
    (lambda: fp.EvaporatingImpact(1.0, NAN), ValueError, r"^thinning must .*nan"),
    (lambda: fp.DepthImpact([0.02, 0.01], [1.0, 2.0]), ValueError, r"^distance must .*0\.01 at index 1$"),
    (lambda: fp.DepthImpact([0.01, 0.01], [1.0, 2.0]), ValueError, r"^distance must .*0\.01 at index 1$"),
    (lambda: fp.DepthImpact([0.0, 0.01], [1.0, 2.0]), ValueError, r"^distance must .*0\.0 at index 0$"),
    (lambda: fp.DepthImpact([-0.1, 0.01], [1.0, 2.0]), ValueError, r"^distance must .*-0\.1 at index 0$"),
    (lambda: fp.DepthImpact([0.1, NAN], [1.0, 2.0]), ValueError, r"^distance must .*nan at index 1$"),
    (lambda: fp.DepthImpact([0.1, INF], [1.0, 2.0]), ValueError, r"^distance must .*inf at index 1$"),
    (lambda: fp.DepthImpact([0.1, 0.2], [2.0, 1.0]), ValueError, r"^bid_quantity must .*1\.0 at index 1$"),
    (lambda: fp.DepthImpact([0.1, 0.2], [0.0, 1.0]), ValueError, r"^bid_quantity must .*0\.0 at index 0$"),
    (lambda: fp.DepthImpact([0.1, 0.2], [1.0]), ValueError, r"^bid_quantity must .*\b2\b.*\b1\b"),
    (lambda: fp.DepthImpact([0.1, 0.2], [1.0, 2.0], [1.0]), ValueError, r"^ask_quantity must .*\b2\b.*\b1\b"),
    (lambda: fp.DepthImpact([0.1, 0.2], [1.0, 2.0], [3.0, 3.0]), ValueError, r"^ask_quantity must .*3\.0 at index 1$"),
    (lambda: fp.DepthImpact([0.1], [1.0], [NAN]), ValueError, r"^ask_quantity must .*nan at index 0$"),
    (lambda: fp.DepthImpact([], []), ValueError, r"^distance must .*\(0,\)"),
    (lambda: fp.DepthImpact(0.1, 1.0), ValueError, r"^distance must .*\(\)"),
    (lambda: fp.DepthImpact([[0.1]], [[1.0]]), ValueError, r"^distance must .*\(1, 1\)"),
    (lambda: fp.DepthImpact(["a"], [1.0]), TypeError, r"^distance must .*<U1"),
    (lambda: fp.LinearImpact(1.0).displacement(NAN), ValueError, r"^volume must .*nan"),
    (lambda: fp.LinearImpact(1.0).displacement([0.0, NAN]), ValueError, r"^volume must .*nan at index 1$"),
    (lambda: fp.LinearImpact(1.0).displacement("1"), TypeError, r"^volume must .*1"),
    (lambda: fp.LinearImpact(1.0).displacement([True]), TypeError, r"^volume must .*bool"),
    (lambda: fp.LinearImpact(1.0).displacement(1.0, liquidity=0.0), ValueError, r"^liquidity must .*0\.0"),
    (lambda: fp.LinearImpact(1.0).displacement(1.0, liquidity=-1.0), ValueError, r"^liquidity must .*-1\.0"),
    (lambda: fp.LinearImpact(1.0).inverse([NAN]), ValueError, r"^displacement must .*nan at index 0$"),
    (lambda: fp.LinearImpact(1.0).proceeds(NAN), ValueError, r"^quantity must .*nan"),
    (lambda: fp.LinearImpact(1.0).proceeds(1.0, [0.0, NAN]), ValueError, r"^volume must .*nan at index 1$"),
    (lambda: fp.LinearImpact(1.0).proceeds([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError, r"\(2,\).*\(3,\)"),
]

MARKET: list[Row] = [
    (lambda: market(price=0.0), ValueError, r"^price must .*0\.0"),
    (lambda: market(price=-1.0), ValueError, r"^price must .*-1\.0"),
    (lambda: market(price=NAN), ValueError, r"^price must .*nan"),
    (lambda: market(price=INF), ValueError, r"^price must .*inf"),
    (lambda: market(price="100"), TypeError, r"^price must .*100"),
    (lambda: market(price=None), TypeError, r"^price must .*None"),
    (lambda: market(price=True), TypeError, r"^price must .*True"),
    (lambda: market(impact=0.01), TypeError, r"^impact must .*0\.01"),
    (lambda: market(impact=None), TypeError, r"^impact must .*None"),
    (lambda: market(impact=fp.LinearImpact), TypeError, r"^impact must .*LinearImpact"),
    (lambda: market(half_life=0.0), ValueError, r"^half_life must .*0\.0"),
    (lambda: market(half_life=-1.0), ValueError, r"^half_life must .*-1\.0"),
    (lambda: market(half_life=NAN), ValueError, r"^half_life must .*nan"),
    (lambda: market(permanent=-1e-9), ValueError, r"^permanent must .*-1e-09"),
    (lambda: market(permanent=NAN), ValueError, r"^permanent must .*nan"),
    (lambda: market(permanent=INF), ValueError, r"^permanent must .*inf"),
    (lambda: market(spread=-0.1), ValueError, r"^spread must .*-0\.1"),
    (lambda: market(spread=2.0), ValueError, r"^spread must .*2\.0"),
    (lambda: market(spread=NAN), ValueError, r"^spread must .*nan"),
    (lambda: market(mark_weight=-0.1), ValueError, r"^mark_weight must .*-0\.1"),
    (lambda: market(mark_weight=1.1), ValueError, r"^mark_weight must .*1\.1"),
    (lambda: market(mark_weight=NAN), ValueError, r"^mark_weight must .*nan"),
    (lambda: market(mark_weight="half"), TypeError, r"^mark_weight must .*half"),
    (lambda: market().price_after(NAN), ValueError, r"^quantity must .*nan"),
    (lambda: market().price_after([1.0, INF]), ValueError, r"^quantity must .*inf at index 1$"),
    (lambda: market().proceeds([NAN]), ValueError, r"^quantity must .*nan at index 0$"),
    (lambda: market().proceeds("1"), TypeError, r"^quantity must .*1"),
]

CASCADE: list[Row] = [
    (lambda: cascade(book=3), TypeError, r"^book must .*(int|3)"),
    (lambda: cascade(book=None), TypeError, r"^book must .*None"),
    (lambda: cascade(market=100.0), TypeError, r"^market must .*(float|100)"),
    (lambda: cascade(book=market(), market=book()), TypeError, r"^book must .*Market"),
    (lambda: cascade(market=fp.LinearImpact(1.0)), TypeError, r"^market must .*LinearImpact"),
    (lambda: cascade(shock=-1.0), ValueError, r"^shock must .*-1\.0"),
    (lambda: cascade(shock=-1.5), ValueError, r"^shock must .*-1\.5"),
    (lambda: cascade(shock=NAN), ValueError, r"^shock must .*nan"),
    (lambda: cascade(shock=INF), ValueError, r"^shock must .*inf"),
    (lambda: cascade(shock=1e308), ValueError, r"^shock must .*1e\+308"),
    (lambda: cascade(shock="-0.1"), TypeError, r"^shock must .*-0\.1"),
    (lambda: cascade(shock=[-0.1, -0.2]), TypeError, r"^shock must .*-0\.1"),
    (lambda: cascade(sell=NAN), ValueError, r"^sell must .*nan"),
    (lambda: cascade(sell=INF), ValueError, r"^sell must .*inf"),
    (lambda: cascade(sell=None), TypeError, r"^sell must .*None"),
    (lambda: cascade(refill=-0.1), ValueError, r"^refill must .*-0\.1"),
    (lambda: cascade(refill=1.1), ValueError, r"^refill must .*1\.1"),
    (lambda: cascade(refill=NAN), ValueError, r"^refill must .*nan"),
    (lambda: cascade(refill=True), TypeError, r"^refill must .*True"),
    (lambda: cascade(threads=-1), ValueError, r"^threads must .*-1"),
    (lambda: cascade(threads=1.5), TypeError, r"^threads must .*1\.5"),
    (lambda: cascade(threads="2"), TypeError, r"^threads must .*2"),
    (lambda: cascade(threads=True), TypeError, r"^threads must .*True"),
    (lambda: cascade(threads=None), TypeError, r"^threads must .*None"),
]

RESPONSE: list[Row] = [
    (lambda: fp.response(3, market()), TypeError, r"^book must .*(int|3)"),
    (lambda: fp.response(book(), 3), TypeError, r"^market must .*(int|3)"),
    (lambda: fp.response(book(), market(), threads=-2), ValueError, r"^threads must .*-2"),
    (lambda: fp.response(book(), market(), threads=2.0), TypeError, r"^threads must .*2\.0"),
    (lambda: fp.response(book(), market(price=85.0)), ValueError, r"^book must .*85.*\b1\b.*book\.alive\(85\)"),
    (lambda: fp.response(book(), market(price=90.0)), ValueError, r"^book must .*90.*\b1\b.*book\.alive\(90\)"),
    (lambda: fp.response(book(), market(price=130.0)), ValueError, r"^book must .*130.*\b1\b.*book\.alive\(130\)"),
    (lambda: fp.response(book(), market(price=79.0)), ValueError, r"^book must .*79.*\b2\b.*book\.alive\(79\)"),
    (lambda: response()(NAN), ValueError, r"^shock must .*nan"),
    (lambda: response()([-0.1, NAN]), ValueError, r"^shock must .*nan at index 1$"),
    (lambda: response()([0.1, 0.2, -1.0]), ValueError, r"^shock must .*-1\.0 at index 2$"),
    (lambda: response()([INF]), ValueError, r"^shock must .*inf at index 0$"),
    (lambda: response()([[0.0, 0.1], [-3.0, 0.1]]), ValueError, r"^shock must .*-3\.0 at index \(1, 0\)$"),
    (lambda: response()(["a"]), TypeError, r"^shock must .*<U1"),
    (lambda: response()(None), TypeError, r"^shock must .*None"),
    (lambda: response()([True]), TypeError, r"^shock must .*bool"),
    (lambda: response()([0.1], threads=-1), ValueError, r"^threads must .*-1"),
    (lambda: response()([0.1], threads=0.5), TypeError, r"^threads must .*0\.5"),
    (lambda: response().sell(NAN), ValueError, r"^quantit(y|ies) must .*nan"),
    (lambda: response().sell([1.0, INF]), ValueError, r"^quantit(y|ies) must .*inf at index 1$"),
    (lambda: response().sell("all"), TypeError, r"^quantit(y|ies) must .*all"),
    (lambda: response().sell([1.0], threads=-1), ValueError, r"^threads must .*-1"),
    (lambda: response().reproduction_number(NAN), ValueError, r"^price must .*nan"),
    (lambda: response().reproduction_number([100.0, 0.0]), ValueError, r"^price must .*0\.0 at index 1$"),
    (lambda: response().reproduction_number(-5.0), ValueError, r"^price must .*-5\.0"),
    (lambda: response().reproduction_number(90.0, width=0.0), ValueError, r"^width must .*0\.0"),
    (lambda: response().reproduction_number(90.0, width=-1.0), ValueError, r"^width must .*-1\.0"),
    (lambda: response().reproduction_number(90.0, width=NAN), ValueError, r"^width must .*nan"),
    (lambda: response().reproduction_number(90.0, width="a"), TypeError, r"^width must .*a"),
]

GROUPS = ("book", "impact", "market", "cascade", "response")
ROWS = [
    pytest.param(*row, id=f"{group}-{i}")
    for group, rows in zip(GROUPS, (BOOK, IMPACT, MARKET, CASCADE, RESPONSE), strict=True)
    for i, row in enumerate(rows)
]


@pytest.mark.parametrize(("call", "kind", "message"), ROWS)
def test_bad_input(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "np." not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("at", [0, 1, 63, 64, 4_095, 99_999])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("quantity", -3.0, "-3.0"),
        ("quantity", NAN, "nan"),
        ("quantity", 0.0, "0.0"),
        ("quantity", INF, "inf"),
        ("trigger_price", NAN, "nan"),
        ("trigger_price", -1.0, "-1.0"),
        ("bankruptcy_price", NAN, "nan"),
        ("entry_price", -2.0, "-2.0"),
    ],
)
def test_the_index_of_one_bad_value_among_many(name: str, value: float, message: str, at: int) -> None:
    columns = {key: np.full(100_000, 50.0) for key in ("quantity", "trigger_price", "bankruptcy_price", "entry_price")}
    columns[name][at] = value
    with pytest.raises(ValueError, match=rf"^{name} must .*{message} at index {at}$"):
        fp.Book(1, **columns)


def test_the_first_of_several_bad_values_is_named() -> None:
    quantity = np.ones(1_000)
    quantity[[700, 300, 999]] = -1.0, NAN, 0.0
    with pytest.raises(ValueError, match=r"nan at index 300$"):
        fp.Book(1, quantity, 90.0)
    with pytest.raises(ValueError, match=r"index 5$"):
        fp.response(book(), market())(np.where(np.arange(10) >= 5, -2.0, 0.1))


def test_the_number_of_positions_crossed_is_told() -> None:
    many = fp.Book(np.repeat([1, -1], 50), 1.0, np.concatenate([np.linspace(101, 150, 50), np.linspace(50, 99, 50)]))
    with pytest.raises(ValueError, match=r"^book must .*\b50\b.*\b50\b"):
        fp.response(many, market())
    assert fp.response(many.alive(100.0), market())(0.1).liquidated_count == 0
    assert fp.cascade(many, market()).liquidated_count > 0


def test_what_is_allowed() -> None:
    assert market(half_life=INF).half_life == INF
    assert market(spread=0.0, mark_weight=0.0).mark_weight == 0.0
    assert market(price=np.float32(2.5), permanent=np.int64(0)).price == 2.5
    assert fp.LinearImpact(np.array(0.5)).coefficient == 0.5
    assert len(book(side=np.array([1.0, 1.0, -1.0]))) == 3
    assert cascade(shock=np.float64(-0.05), refill=1, sell=np.int32(0), threads=np.int64(1)).liquidated_count == 0
    assert cascade(refill=0.0, threads=0).final_price == 100.0
