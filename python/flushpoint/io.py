"""Reading what others hold: positions, histories, maintenance tiers and depth profiles (extra ``io``: pandas, pyarrow).

`read_positions`, `read_history`, `read_depth` and `read_tiers` take tables: files, DataFrames, Arrow tables, numpy
structured arrays; all but the last mappings of columns, too. `from_ccxt`, `from_hyperliquid` and `read_tiers` take what
the venues' interfaces return, and need nothing but numpy.

Every reader of positions or histories says what it dropped and why (`Positions.dropped`, `History.dropped`), and
refuses what it cannot judge with one line that names the column and the data row, or the path to the value, the rule
and the value.
"""

from flushpoint.readers.ccxt import from_ccxt
from flushpoint.readers.depth import read_depth
from flushpoint.readers.history import HISTORY_COLUMNS, History, read_history
from flushpoint.readers.hyperliquid import from_hyperliquid
from flushpoint.readers.positions import COLUMNS, Positions, read_positions
from flushpoint.readers.tiers import read_tiers

__all__ = [
    "COLUMNS",
    "HISTORY_COLUMNS",
    "History",
    "Positions",
    "from_ccxt",
    "from_hyperliquid",
    "read_depth",
    "read_history",
    "read_positions",
    "read_tiers",
]
