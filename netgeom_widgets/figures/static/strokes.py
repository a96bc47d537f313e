"""Fill, line and outline properties as keywords of matplotlib artists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.patheffects import withStroke

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.static.colours import rgba
from netgeom_widgets.figures.static.columns import Rows
from netgeom_widgets.figures.static.text import PX

# Names reach the browser only from per-row properties, where BokehJS reads them so; elsewhere Python has already
# made them lengths, and other ones.
_DASHES = {"solid": [], "dashed": [3, 2], "dotted": [2, 1], "dotdash": [2, 4, 6, 4], "dashdot": [6, 4, 2, 4]}
_CAPS = {"butt": "butt", "round": "round", "square": "projecting"}
_HATCHES = {
    "diagonal_cross": "x", "vertical_line": "|", "horizontal_line": "-", "cross": "+", "dot": ".", "ring": "o",
    "right_diagonal_line": "\\", "left_diagonal_line": "/",
}  # fmt: skip


def dash_style(pattern: Any, offset: float, width: float) -> tuple[float, list[float] | None]:
    """The (offset, on-off lengths) for matplotlib of a Bokeh dash pattern in pixels, for a line `width` pixels wide."""
    if isinstance(pattern, str):
        pattern = _DASHES[pattern] if pattern in _DASHES else [float(part) for part in pattern.split()]
    lengths = [float(length) for length in pattern or []]
    if not lengths or width <= 0:
        return (0.0, None)
    lengths = lengths * 2 if len(lengths) % 2 else lengths
    unit = 1 / width if mpl.rcParams["lines.scale_dashes"] else PX  # matplotlib multiplies by the width in points
    return (offset * unit, [length * unit for length in lengths])


def _dashes(rows: Rows, kind: str, widths: np.ndarray) -> list[tuple[float, list[float] | None]]:
    if not rows.has(f"{kind}_dash"):
        return [(0.0, None)]
    offsets = rows.one_or_all(f"{kind}_dash_offset")
    if rows.one_value(f"{kind}_dash") and len(offsets) == 1 and len(widths) == 1:
        return [dash_style(rows.spec(f"{kind}_dash")[1], offsets[0], widths[0])]
    patterns, n = rows.values(f"{kind}_dash"), len(rows)
    return [
        dash_style(pattern, offset, width)
        for pattern, offset, width in zip(
            patterns, np.broadcast_to(offsets, n), np.broadcast_to(widths, n), strict=True
        )
    ]


def line_keywords(rows: Rows, kind: str = "line") -> dict[str, Any]:
    """Keywords of a matplotlib Collection for the lines of these rows."""
    widths = rows.one_or_all(f"{kind}_width")
    cap, join = rows.scalar(f"{kind}_cap"), rows.scalar(f"{kind}_join")
    return {
        "edgecolors": rows.colours(kind),
        "linewidths": widths * PX,
        "linestyles": _dashes(rows, kind, widths),
        "capstyle": _CAPS[cap],
        "joinstyle": join,
    }


def fill_keywords(rows: Rows) -> dict[str, Any]:
    """Keywords of a matplotlib Collection for the fill, hatch and outline of these rows."""
    keywords = {"facecolors": rows.colours("fill"), **(line_keywords(rows) if rows.has("line_color") else {})}
    keywords.setdefault("edgecolors", "none")
    if rows.has("hatch_pattern") and (pattern := rows.scalar("hatch_pattern")) not in (None, " ", "blank"):
        symbol = _HATCHES.get(pattern, pattern)
        if symbol not in set(_HATCHES.values()) | {"*", "O"}:
            raise NetgeomError("The static renderer does not know this hatch pattern.", got=repr(pattern))
        keywords |= {"hatch": 2 * symbol, "hatchcolors": rows.colours("hatch")}
    return keywords


def line_style(model: Any, prefix: str = "line") -> dict[str, Any]:
    """Keywords of one matplotlib line for a model with plain (not per-row) line properties."""
    red, green, blue, alpha = rgba(getattr(model, f"{prefix}_color"))
    width = float(getattr(model, f"{prefix}_width"))
    return {
        "color": (red, green, blue, alpha * getattr(model, f"{prefix}_alpha")),
        "linewidth": width * PX,
        "linestyle": dash_style(getattr(model, f"{prefix}_dash"), getattr(model, f"{prefix}_dash_offset"), width),
    }


def fill_colour(model: Any, prefix: str = "fill") -> tuple[float, float, float, float]:
    """RGBA of a model with plain fill properties."""
    red, green, blue, alpha = rgba(getattr(model, f"{prefix}_color"))
    return red, green, blue, alpha * float(getattr(model, f"{prefix}_alpha"))


def angles(rows: Rows, name: str = "angle") -> np.ndarray:
    """Angles in radians, one per row."""
    unit = {"rad": 1.0, "deg": math.pi / 180, "grad": math.pi / 200, "turn": 2 * math.pi}
    return rows.numbers(name) * unit[getattr(rows.model, f"{name}_units", "rad")]


def pick(values: Sequence[Any] | np.ndarray, row: int) -> Any:
    """Entry of a row in a list that may hold one entry for all rows."""
    return values[row if len(values) > 1 else 0]


def text_edge(rows: Rows, row: int) -> list[Any] | None:
    """An outline around the letters, if they have one."""
    colour = rows.values("text_outline_color")[row] if rows.has("text_outline_color") else None
    if colour is None:
        return None
    return [withStroke(linewidth=rows.values("text_outline_width")[row] * PX, foreground=rgba(colour))]
