"""Where the plots and texts of a Bokeh layout go."""

from __future__ import annotations

import math
from typing import Any

from bokeh.models import (
    Column,
    Div,
    GridBox,
    GridPlot,
    Paragraph,
    Plot,
    PreText,
    Row,
    Spacer,
    TabPanel,
    Tabs,
)

from netgeom_widgets.figures.static.canvas import Box
from netgeom_widgets.figures.static.colours import unknown
from netgeom_widgets.figures.static.plot import PlotPicture
from netgeom_widgets.figures.static.text import extent, font, from_html, wrap

_TEXTS = (Div, Paragraph, PreText)
_WIDE = ("stretch_width", "stretch_both", "scale_width", "scale_both")
_HIGH = ("stretch_height", "stretch_both")
_FONT = font("13px")


def readable(model: Any) -> str:
    """The literal text of a Div, Paragraph or PreText."""
    return from_html(model.text) if isinstance(model, Div) and not model.render_as_text else str(model.text)


def _children(model: Any) -> list[Any]:
    """Visible children of a row, column or tabs (the open panel only)."""
    if isinstance(model, Tabs):
        panels = [tab for tab in model.tabs if isinstance(tab, TabPanel)]
        return [panels[min(model.active, len(panels) - 1)].child] if panels else []
    return [child for child in model.children if child.visible]


def _cells(grid: Any) -> list[tuple[Any, int, int, int, int]]:
    """(child, row, column, rows spanned, columns spanned)."""
    cells = [(*cell, 1, 1)[:5] if len(cell) == 3 else tuple(cell) for cell in grid.children]
    return [cell for cell in cells if cell[0] is not None and cell[0].visible]


def _spacing(grid: Any) -> tuple[float, float]:
    spacing = grid.spacing
    return (float(spacing[0]), float(spacing[1])) if isinstance(spacing, tuple | list) else (float(spacing),) * 2


def is_wide(model: Any) -> bool:
    """Whether a model takes the width it is offered."""
    if model.sizing_mode is not None:
        return model.sizing_mode in _WIDE
    if isinstance(model, Row | Column | Tabs) and model.width is None:
        return any(is_wide(child) for child in _children(model))
    if isinstance(model, GridBox | GridPlot) and model.width is None:
        return any(is_wide(cell[0]) for cell in _cells(model))
    return isinstance(model, _TEXTS) and model.width is None


def natural_width(model: Any) -> float:
    """Width a model asks for, in pixels."""
    if model.width is not None and not isinstance(model, Plot):
        return float(model.width)
    if isinstance(model, Plot):
        return PlotPicture(model).outer_size()[0]
    if isinstance(model, Row):
        return sum(map(natural_width, _children(model))) + model.spacing * max(len(_children(model)) - 1, 0)
    if isinstance(model, Column | Tabs):
        return max(map(natural_width, _children(model)), default=0.0)
    if isinstance(model, GridBox | GridPlot):
        widths = _grid_widths(model, None)
        return sum(widths) + _spacing(model)[1] * max(len(widths) - 1, 0)
    if isinstance(model, _TEXTS):
        return min(extent(readable(model), _FONT)[0] + 4, 600.0)
    if isinstance(model, Spacer):
        return 0.0
    raise unknown("layout or control", model)


def _share(naturals: list[float], wide: list[bool], total: float, most: list[float] | None = None) -> list[float]:
    """Widths that add up to `total`: flexible ones take what is left, up to `most`; without any all are scaled."""
    over = [at for at, limit in enumerate(most or []) if wide[at] and limit < _even(naturals, wide, total)]
    if over:
        naturals = [most[at] if most and at in over else size for at, size in enumerate(naturals)]
        wide = [flexible and at not in over for at, flexible in enumerate(wide)]
        if not any(wide) and sum(naturals) <= total:
            return naturals
    left = total - sum(size for size, flexible in zip(naturals, wide, strict=True) if not flexible)
    if any(wide) and left > 40 * sum(wide):
        return [left / sum(wide) if flexible else size for size, flexible in zip(naturals, wide, strict=True)]
    scale = total / sum(naturals) if sum(naturals) else 1.0
    return [size * scale for size in naturals]


def _even(naturals: list[float], wide: list[bool], total: float) -> float:
    """Equal part of each flexible child in what the others leave."""
    return (total - sum(size for size, flexible in zip(naturals, wide, strict=True) if not flexible)) / sum(wide)


def _grid_widths(grid: Any, total: float | None) -> list[float]:
    cells = _cells(grid)
    n = max((column + span for _, _, column, _, span in cells), default=0)
    widths, wide = [0.0] * n, [False] * n
    for child, _, column, _, span in cells:
        for at in range(column, column + span):
            widths[at] = max(widths[at], natural_width(child) / span)
            wide[at] = wide[at] or is_wide(child)
    if total is None:
        return widths
    return _share(widths, wide, total - _spacing(grid)[1] * max(n - 1, 0))


def _row_widths(row: Any, total: float) -> list[float]:
    children = _children(row)
    room = total - row.spacing * max(len(children) - 1, 0)
    most = [math.inf if child.max_width is None else float(child.max_width) for child in children]
    return _share([natural_width(child) for child in children], [is_wide(child) for child in children], room, most)


def height_at(model: Any, width: float) -> float:
    """Height of a model that is `width` pixels wide."""
    if isinstance(model, Plot):
        height = PlotPicture(model).outer_size()[1]
        if isinstance(model.aspect_ratio, (int, float)):
            height = width / model.aspect_ratio
        elif model.sizing_mode in ("scale_width", "scale_both"):
            height = height * width / PlotPicture(model).outer_size()[0]
        return min(max(height, model.min_height or 0), model.max_height or height)
    if model.height is not None:
        return float(model.height)
    if isinstance(model, Row):
        pairs = zip(_children(model), _row_widths(model, width), strict=True)
        return max((height_at(child, share) for child, share in pairs), default=0.0)
    if isinstance(model, Column | Tabs):
        gap = model.spacing if isinstance(model, Column) else 0
        heights = [height_at(child, _width_in(child, width)) for child in _children(model)]
        return sum(heights) + gap * max(len(heights) - 1, 0)
    if isinstance(model, GridBox | GridPlot):
        heights = _grid_heights(model, _grid_widths(model, width))
        return sum(heights) + _spacing(model)[0] * max(len(heights) - 1, 0)
    if isinstance(model, _TEXTS):
        text = wrap(readable(model), _FONT, width - 4)
        return extent(text, _FONT)[1] + 6 if text else 0.0
    if isinstance(model, Spacer):
        return 0.0
    raise unknown("layout or control", model)


def _width_in(child: Any, width: float) -> float:
    return width if is_wide(child) else min(natural_width(child), width)


def _grid_heights(grid: Any, widths: list[float]) -> list[float]:
    cells = _cells(grid)
    heights = [0.0] * max((row + span for _, row, _, span, _ in cells), default=0)
    for child, row, column, rows, columns in cells:
        room = sum(widths[column : column + columns]) + _spacing(grid)[1] * (columns - 1)
        for at in range(row, row + rows):
            heights[at] = max(heights[at], height_at(child, room) / rows)
    return heights


def place(model: Any, left: float, top: float, width: float, height: float | None = None) -> list[tuple[Any, Box]]:
    """All plots and texts of a layout with their boxes, in drawing order."""
    own = height_at(model, width)
    height = own if height is None or model.sizing_mode not in _HIGH else height
    if not model.visible:
        return []
    if isinstance(model, (Plot, Spacer, *_TEXTS)):
        return [(model, Box(left, top, width, height))]
    found: list[tuple[Any, Box]] = []
    if isinstance(model, Row):
        for child, share in zip(_children(model), _row_widths(model, width), strict=True):
            found += place(child, left, top, share, height)
            left += share + model.spacing
    elif isinstance(model, Column | Tabs):
        for child in _children(model):
            share = _width_in(child, width)
            found += place(child, left, top, share)
            top += height_at(child, share) + (model.spacing if isinstance(model, Column) else 0)
    else:
        widths = _grid_widths(model, width)
        heights = _grid_heights(model, widths)
        down, across = _spacing(model)
        for child, row, column, rows, columns in _cells(model):
            x = left + sum(widths[:column]) + across * column
            y = top + sum(heights[:row]) + down * row
            room = sum(widths[column : column + columns]) + across * (columns - 1)
            found += place(child, x, y, room, sum(heights[row : row + rows]) + down * (rows - 1))
    return found
