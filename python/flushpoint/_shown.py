"""Numbers and tables as text."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def percent(share: float) -> str:
    """Show a share or a probability in per cent."""
    return f"{100 * share:.4g} %"


def amount(value: float) -> str:
    """Show a number with its thousands set apart."""
    return f"{value:,.12g}"


def short(value: float) -> str:
    """Show four digits of a number, with its thousands set apart where it is below a million."""
    return f"{float(f'{value:.4g}'):,.0f}" if 1e4 <= abs(value) < 1e6 else f"{value:,.4g}"


def markdown(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Show rows as a Markdown table; the columns in `right`, counted from 0, are set to the right."""
    rules = [("--:" if i in right else "---") for i in range(len(rows[0]))]
    return "".join(f"| {' | '.join(row)} |\n" for row in [rows[0], rules, *rows[1:]])
