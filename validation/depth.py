"""Work out what thinning depth and waiting buyers change, and write what is found into docs/depth.md.

    python validation/depth.py

Only the text between the page's marks is replaced. Takes less than a minute.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from page import table, write

import flushpoint as fp
from flushpoint import example

PAGE = Path(__file__).parents[1] / "docs" / "depth.md"
USD_PER_PERCENT = 1.5e9
MARKET = fp.Market(example.PRICE, fp.LinearImpact(0.01 / (USD_PER_PERCENT / example.PRICE)), half_life=3_600.0)
NORMAL = 0.8
JUMPS = fp.JumpDiffusion(0.6, 365.0, -0.03, 0.02)  # one a day
ELASTICITIES = (0.0, 0.1, 0.25, 0.5, 1.0)
PATHS = 20_000
SUPPORTS = (0.0, 0.5e9, 1e9, 2e9, 4e9)  # USD
BELOW = 0.97  # of the price at the tipping point
SHOCKS = -np.linspace(0.01, 0.5, 4_901)


def elasticity_block() -> str:
    """Set one line an elasticity, all on the same random numbers."""
    rows = [["elasticity", "median low", "5 % low", "1 % low", "liquidated, mean", "least liquidity, median", "5 %"]]
    book = example.book()
    for elasticity in ELASTICITIES:
        market = replace(MARKET, depth=fp.LivingDepth(NORMAL, elasticity=elasticity) if elasticity else None)
        e = fp.simulate(book, market, JUMPS, paths=PATHS, seed=1)
        lows = np.quantile(e.low_price / MARKET.price - 1, [0.5, 0.05, 0.01])
        least = np.quantile(e.least_liquidity, [0.5, 0.05])
        mean = f"{e.liquidated_notional.mean() / 1e9:.2f} bn"
        rows.append([f"{elasticity:g}", *(f"{x:.1%}" for x in lows), mean, *(f"{x:.2f}" for x in least)])
    return table(rows)


def support_block() -> str:
    """Set one line a support, with the fall at which the largest run of positions begins to close."""
    book = example.book()
    tips = fp.response(book, MARKET).tipping_points
    tips = tips[tips["side"] > 0]
    price = BELOW * tips["price"][np.argmax(tips["notional"])]
    rows = [
        ["support", "tips at a fall of", "final before", "final beyond", "closed before", "closed beyond", "bought"]
    ]
    for money in SUPPORTS:
        market = replace(MARKET, support=fp.Support(price, money / price)) if money else MARKET
        s = fp.stress(book, market, SHOCKS)
        fall = s.final_price / MARKET.price - 1
        k = int(np.argmin(np.diff(fall)))
        closed = [f"{s.liquidated_notional[i] / 1e9:.1f} bn" for i in (k, k + 1)]
        bought = f"{s.support_quantity[k + 1] * price / 1e9:.1f} bn"
        finals = [f"{fall[i]:.1%}" for i in (k, k + 1)]
        rows.append([f"{money / 1e9:g} bn", f"{-SHOCKS[k + 1]:.2%}", *finals, *closed, bought])
    return table(rows) + f"\nAll at {price:,.0f} USD.\n"


def main() -> None:
    """Work everything out and rewrite the page's blocks."""
    write(PAGE, {"elasticity": elasticity_block, "support": support_block}, "validation/depth.py")


if __name__ == "__main__":
    main()
