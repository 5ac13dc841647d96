"""What a notebook shows: small tables in its own style, whole pages in a frame of their own."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any


def number(value: Any) -> str:
    """Four significant digits, thousands apart; `–` for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if not math.isfinite(value) or abs(value) < 1e4:
        return f"{value:.4g}"
    digits = 3 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.0f}".replace(",", "\u202f")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th style='text-align:left'>{html.escape(name)}</th>" for name in header)
    lines = []
    for row in rows:
        cells = "".join(
            f"<td style='text-align:{'right' if isinstance(cell, (int, float)) else 'left'}'>{html.escape(number(cell))}</td>" for cell in row
        )
        lines.append(f"<tr>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def paragraph(text: str, bold: bool = False) -> str:
    text = html.escape(text)
    return f"<p><b>{text}</b></p>" if bold else f"<p>{text}</p>"


def page(document: str, height: int = 620) -> str:
    """A whole document in a frame that runs no script and reaches nothing of the notebook's."""
    return (
        f"<iframe srcdoc=\"{html.escape(document, quote=True)}\" sandbox=\"\" "
        f"style='width:100%;height:{height}px;border:1px solid #ccc;background:white'></iframe>"
    )
