"""One book, three ideas of market impact: how much of a fall is the forced selling's own doing?

Usage: python compare_impact.py [picture.png]
"""

import sys

from matplotlib.figure import Figure

import flushpoint as fp
from flushpoint import example, plot

book, price = example.book(), example.PRICE
volume = 60e9 / price  # traded a day, in bitcoin
per_bitcoin = 0.01 * price / example.USD_PER_PERCENT
impacts = {
    "square-root law": fp.SquareRootImpact(daily_volatility=0.025, daily_volume=volume, core=1e-3 * volume),
    "straight line": fp.LinearImpact(per_bitcoin),
    "half the depth": fp.LinearImpact(2 * per_bitcoin),
}
shocks = [-0.05, -0.10, -0.20, -0.30]
print(f"{'final price after a shock of':>30}" + "".join(f"{shock:>10.0%}" for shock in shocks))
print(f"{'without liquidations':>30}" + "".join(f"{price * (1 + shock):>10,.0f}" for shock in shocks))
for name, impact in impacts.items():
    r = fp.response(book, fp.Market(price, impact))
    print(f"{name:>30}" + "".join(f"{final:>10,.0f}" for final in r(shocks).final_price))

if len(sys.argv) > 1:
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    figure.suptitle("The embedded example with half its depth")
    plot.response(r, figure.subplots())
    figure.savefig(sys.argv[1])
