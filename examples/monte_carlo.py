"""How large could a day's liquidations be, and what would a cap on leverage change? Two books, the same price paths."""

import flushpoint as fp

PRICE, OPEN_INTEREST = 100_000.0, 20e9
market = fp.Market(PRICE, fp.LinearImpact(0.01 / (2.5e9 / PRICE)), half_life=1_800)  # 2.5 bn USD move the price by 1 %
process = fp.JumpDiffusion(volatility=0.6, jump_rate=12, jump_mean=-0.04, jump_volatility=0.03)


def day(mix: fp.LeverageMix) -> fp.SimulationResult:
    book = fp.Book.from_leverage_mix(OPEN_INTEREST, PRICE, mix, fp.EntryPrices.normal(0.03))
    return fp.simulate(book, market, process, paths=4_000, steps=288, seed=7)


now, capped = day(fp.LeverageMix.power_law(highest=100)), day(fp.LeverageMix.power_law(highest=20))
print(now.summary(["low_price", "liquidated_notional"]))
print(fp.compare(now, capped, ["low_price", "liquidated_notional"]))

worst = now.replay(int(now.low_price.argmin()))
print(worst)
print(worst.waves[-3:])
