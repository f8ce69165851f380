"""One cascade through lrvx's liquidation engine, in a process of its own: beside other libraries it may not load.

python bench/drive_lrvx.py COLUMNS START COEFFICIENT FUND DELEVERAGES

COLUMNS is an .npz file. A new engine, a call for each position, and marks that its closes move until nothing fires.
Prints seconds, then price, positions closed and waves.
"""

import sys
import time
from typing import Any

import lrvx
import numpy as np

SYMBOL = 1


def drive(
    columns: dict[str, Any], start: float, coefficient: float, fund: float, deleverages: bool
) -> tuple[float, int, int]:
    """Final price, positions closed and waves."""
    engine = lrvx.LiquidationEngine()
    for floor, rate in zip(columns["floor"], columns["rate"], strict=True):
        engine.add_tier(floor, rate)
    engine.set_insurance_fund_capital(fund)
    engine.set_adl_enabled(deleverages)
    engine.set_adl_ranking("pnl_ratio")
    signed, entry = columns["side"] * columns["quantity"], columns["entry_price"]
    margin = signed * (entry - columns["bankruptcy_price"])
    for i, (q, e, m) in enumerate(zip(signed.tolist(), entry.tolist(), margin.tolist(), strict=True)):
        engine.open_position(i, SYMBOL, q, e, m)
    price, volume, closed, waves = start, 0.0, 0, 0
    while hit := engine.on_mark(SYMBOL, price)["liquidated"]:
        volume += signed[hit].sum()
        closed += len(hit)
        waves += 1
        price = start * np.exp(-coefficient * volume)
    return price, closed, waves


if __name__ == "__main__":
    given = dict(np.load(sys.argv[1]))
    begin = time.perf_counter()
    told = drive(given, float(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5] == "yes")
    print(time.perf_counter() - begin, *map(float, told))
