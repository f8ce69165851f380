"""Reading what others hold: positions, maintenance tiers and depth profiles (extra ``io``: pandas and pyarrow).

`read_positions`, `read_depth` and `read_tiers` take tables: files, DataFrames, Arrow tables, numpy structured arrays.
`from_ccxt`, `from_hyperliquid` and `read_tiers` take what the venues' interfaces return, and need nothing but numpy.

Every reader of positions says what it dropped and why (`Positions.dropped`), and refuses what it cannot judge with one
line that names the column and the data row, or the path to the value, the rule and the value.
"""

from flushpoint.readers.ccxt import from_ccxt
from flushpoint.readers.depth import read_depth
from flushpoint.readers.hyperliquid import from_hyperliquid
from flushpoint.readers.positions import COLUMNS, Positions, read_positions
from flushpoint.readers.tiers import read_tiers

__all__ = ["COLUMNS", "Positions", "from_ccxt", "from_hyperliquid", "read_depth", "read_positions", "read_tiers"]
