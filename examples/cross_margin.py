"""Accounts that hold three markets on one margin: how a fall in one of them reaches the others."""

import numpy as np

import flushpoint as fp

rng = np.random.default_rng(1)
names, prices, daily_volume = ("BTC", "ETH", "SOL"), np.array([60_000.0, 3_000.0, 150.0]), np.array([3e5, 4e6, 3e7])

# 20,000 accounts, long of everything, with 4 to 40 % of what they hold as equity
count = 20_000
notional = rng.lognormal(12.0, 1.5, (count, 3))
accounts = fp.Accounts(
    np.repeat(np.arange(count), 3),
    np.tile(names, count),
    (notional / prices).ravel(),
    np.tile(prices, count),
    notional.sum(1) * rng.uniform(0.04, 0.4, count),
    fp.MarginSchedule(np.array([0.0, 250_000.0, 1_000_000.0]), np.array([0.005, 0.01, 0.025])),
    close="largest_loss",
)
markets = fp.Markets(
    {
        name: fp.Market(price, fp.SquareRootImpact(0.04, volume), half_life=1_800.0)
        for name, price, volume in zip(names, prices, daily_volume, strict=True)
    }
)

c = fp.cascade(accounts, markets, shock={"BTC": -0.15})
print(f"BTC falls by 15 %: {c.accounts_closed:,} accounts are closed out in {c.rounds} rounds")
for name, price, start, spilled in zip(names, c.final_price, prices, c.spillover("BTC"), strict=True):
    print(f"  {name}: {price / start - 1:+.1%}, of which {np.expm1(-spilled):+.1%} by those who were hurt in BTC")

r = fp.contagion(accounts, markets, shock={"BTC": -0.15})
print(f"spectral radius there: {r.spectral_radius:.2f}")

model = fp.FactorModel.betas(fp.GBM(0.7), {"BTC": 1.0, "ETH": 1.3, "SOL": 1.6}, idiosyncratic=fp.GBM(0.4))
e = fp.simulate(accounts, markets, model, steps=288, paths=200, seed=1)
usual, bad = e.accounts_closed.mean(), np.quantile(e.accounts_closed, 0.95)
print(f"a day: {usual:,.0f} accounts closed out on average, {bad:,.0f} in the worst 5 % of days")
