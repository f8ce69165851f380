"""How fast the engine is on this machine, beside what others would write for the same jobs, and how its time grows.

`own` times the main jobs, `races` runs jobs against rivals, `scaling` fits a cost model, `page` writes down both.
"""
