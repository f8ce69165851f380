"""How large an insurance fund does a venue need, how often would it close winners, and what would a policy change?"""

from typing import Any

import flushpoint as fp

PRICE, OPEN_INTEREST = 100_000.0, 20e9
mix, entries = fp.LeverageMix.power_law(highest=100), fp.EntryPrices.normal(0.03)
book = fp.Book.from_leverage_mix(OPEN_INTEREST, PRICE, mix, entries)
market = fp.Market(PRICE, fp.LinearImpact(0.01 / (2.5e9 / PRICE)), half_life=1_800)  # 2.5 bn USD move the price by 1 %
process = fp.JumpDiffusion(volatility=0.6, jump_rate=12, jump_mean=-0.04, jump_volatility=0.03)
day: dict[str, Any] = {"paths": 2_000, "steps": 288, "seed": 7}

size = fp.size_fund(book, market, process, 0.99, **day)
print(size)

venue = fp.Venue.bitmex(fp.MarginSchedule.flat(0.005), fund=size.fund / 10)
print(venue)
e = fp.simulate(book, market, process, venue=venue, **day)
e.check_balance()
print(f"winners are closed in {(e.adl_count > 0).mean():.1%} of days")

print(
    fp.experiment(
        book,
        market,
        process,
        {
            "leverage at most 20": fp.Policy(leverage_cap=20),
            "ten times the fund": fp.Policy(fund=size.fund),
            "in part, at least margin": fp.Policy(close="fraction"),
            "winners pro rata": fp.Policy(adl="pro_rata"),
        },
        venue=venue,
        **day,
    )
)
