"""Figures that read on light and on dark ground.

Grounds are transparent, so the notebook's colour shows; lines that must be seen on both are mid grey. The pane sets
the colours of texts and axes in the browser, where the theme is known; the static renderer lays white underneath.
"""

from __future__ import annotations

from typing import Any

from bokeh.models import Axis, Grid, Legend, Plot

GRID = "#808080"
"""Grid lines: seen on white and on black."""

GRID_ALPHA = 0.25

PICKED = "#e6007e"
"""Outline of what the user picked."""


def make_groundless(plot: Plot) -> Plot:
    """Make a plot's grounds transparent and its helper lines readable on any ground; returns the plot."""
    # Clear and not None: without any background BokehJS 3.9 begins no path before it strokes the outline, and
    # strokes the last path of the picture before along with it.
    clear: dict[str, Any] = {"background_fill_color": "rgba(0, 0, 0, 0)", "border_fill_color": None}
    clear["outline_line_color"] = GRID
    plot.update(**clear, outline_line_alpha=0.5)
    for side in (plot.center, plot.left, plot.right, plot.above, plot.below):
        for model in side:
            if isinstance(model, Grid):
                model.update(grid_line_color=GRID, grid_line_alpha=GRID_ALPHA)
            elif isinstance(model, Legend):
                model.update(background_fill_alpha=0.85, border_line_color=GRID)
            elif isinstance(model, Axis):
                model.update(axis_line_color=GRID, major_tick_line_color=GRID, minor_tick_line_color=None)
    return plot
