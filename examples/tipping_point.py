"""Find the worst tipping point below the price, and look at both sides of it."""

import numpy as np

import flushpoint as fp
from flushpoint import example

book, market = example.book(), example.market()
r = fp.response(book, market)

below = r.tipping_points[r.tipping_points["side"] == 1]
worst = below[np.argmax(below["notional"])]
print(f"{len(below):,} tipping points below {market.price:,.0f} USD; the worst is a fall of {-worst['shock']:.3%}")

for name, shock in (("just above it", worst["shock"] + 1e-6), ("at it", worst["shock"])):
    c = fp.cascade(book, market, shock=shock)
    print(f"{name:>14}: {c.liquidated_count:,} positions closed, final price {c.final_price:,.0f} USD")
print(f"the last dollar of that fall closes {worst['count']} more positions, worth {worst['notional']:,.0f} USD")
