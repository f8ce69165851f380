"""Write every figure of the pages: each command of this directory, in the order in which they need one another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LAST = ("summary", "examples")  # of the pages that the others write
APART = ("all", "page")


def main() -> int:
    """Run them, and stop where one fails."""
    names = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in (*LAST, *APART))
    for name in (*names, *LAST):
        print(f"{name}.py", flush=True)
        code = subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
