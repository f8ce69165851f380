"""Numbers as text."""

from __future__ import annotations


def percent(share: float) -> str:
    """Show a share or a probability in per cent."""
    return f"{100 * share:.4g} %"


def amount(value: float) -> str:
    """Show a number with its thousands set apart."""
    return f"{value:,.12g}"
