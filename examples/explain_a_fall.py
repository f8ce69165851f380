"""What share of a crash is the market's own, and what do liquidations, stop orders, funds and thin depth add?"""

import numpy as np

import flushpoint as fp

PRICE, OPEN_INTEREST = 100_000.0, 20e9
mix, entries = fp.LeverageMix.power_law(highest=100), fp.EntryPrices.normal(0.03)
book = fp.Book.from_leverage_mix(OPEN_INTEREST, PRICE, mix, entries)
# A quarter of the longs have a stop order 6 % below the price.
stopped = book.with_stops(np.where((np.arange(len(book)) % 4 == 0) & (book.side > 0), 0.94 * PRICE, np.nan))
market = fp.Market(
    PRICE,
    fp.LinearImpact(0.01 / (1.5e9 / PRICE)),  # 1.5 bn USD move the price by 1 %
    half_life=1_800,
    depth=fp.LivingDepth(0.8, elasticity=0.25),
)
e = fp.explain(
    stopped,
    market,
    fp.GBM(0.6),
    script=fp.Script(np.array([43_200.0]), move=np.log(0.93)),  # at noon news worth 7 %
    sellers=fp.VolatilityTargeting(20_000, 0.6),
    venue=fp.Venue(fund=100e6, adl="queue"),
    without_stops=book,
    steps=288,
    paths=500,
    seed=7,
)
print(e)
