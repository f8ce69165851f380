"""From what a venue's interface returns to a question: positions and tiers as ccxt fetches them."""

import flushpoint as fp

# exchange.fetch_leverage_tiers() and exchange.fetch_positions() return structures like these.
tiers = {
    "BTC/USDT:USDT": [
        {"minNotional": 0, "maxNotional": 300_000, "maintenanceMarginRate": 0.004},
        {"minNotional": 300_000, "maxNotional": 800_000, "maintenanceMarginRate": 0.005},
        {"minNotional": 800_000, "maxNotional": 3_000_000, "maintenanceMarginRate": 0.0065},
    ]
}
common = {"symbol": "BTC/USDT:USDT", "contractSize": 1.0, "markPrice": 76_000.0}
positions = [
    {**common, "side": "long", "contracts": 5.0, "entryPrice": 80_000.0, "leverage": 10, "liquidationPrice": 72_360.0},
    {**common, "side": "long", "contracts": 12.0, "entryPrice": 78_500.0, "leverage": 20, "liquidationPrice": None},
    {**common, "side": "short", "contracts": 9.0, "entryPrice": 77_000.0, "leverage": 25, "liquidationPrice": None},
    {**common, "side": "long", "contracts": 0.0, "entryPrice": None, "leverage": 5, "liquidationPrice": None},
]

schedule = fp.io.read_tiers(tiers)["BTC/USDT:USDT"]
held = fp.io.from_ccxt(positions, "BTC/USDT:USDT", schedule=schedule)
print(held)
for reason, count in held.dropped.items():
    print(f"  {reason}: {count}")
print(held.book)

market = fp.Market(held.price, fp.LinearImpact(1e-4))
c = fp.cascade(held.book, market, shock=-0.02)
print(f"a fall of 2 % closes {c.liquidated_count} positions and ends at {c.final_price:,.0f} USDT")
