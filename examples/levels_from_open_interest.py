"""Where would a market be liquidated, as far as its prices and open interest tell?

Usage: python levels_from_open_interest.py [history.csv]
"""

import sys

import numpy as np

import flushpoint as fp

if len(sys.argv) > 1:
    history = fp.io.read_history(sys.argv[1])
else:  # forty days of a made-up market: a rally that open interest joins, then a slow fall
    rng = np.random.default_rng(11)
    hours = 960
    drift = np.where(np.arange(hours) < 700, 3e-4, -2e-4)
    close = 100 * np.exp(np.cumsum(drift + 0.004 * rng.standard_normal(hours)))
    opening = np.concatenate([[100.0], close[:-1]])
    history = fp.io.read_history(
        {
            "time": np.datetime64("2026-01-01T00") + np.arange(hours),
            "open": opening,
            "high": np.maximum(opening, close) * 1.002,
            "low": np.minimum(opening, close) * 0.998,
            "close": close,
            "open_interest": np.interp(np.arange(hours), [0, 700, 960], [3e6, 6e6, 5.5e6]),  # base units
        },
        unit="base",
    )

print(history)
book = fp.Book.from_open_interest(history, period=history.period)
price = history.close[-1]
distance = np.array([0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5])
longs = book.heatmap(price * (1 - distance)[::-1])[0][::-1].cumsum()
shorts = book.heatmap(price * (1 + distance))[1].cumsum()
print(f"price {price:,.6g}; liquidated by a fall or a rise, in millions:")
for far, below, above in zip(distance[1:], longs, shorts, strict=True):
    print(f"{far:>7.0%}{below / 1e6:>12,.1f}{above / 1e6:>12,.1f}")
