"""Slices of the loss along single directions: log10 R against the coordinate, a line each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, GlyphRenderer, HoverTool, Legend, LegendItem, Range1d, Span

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.equivalence_scale import EPSILON, FLOOR, as_epsilon, log_loss, quantity, slice_values
from netgeom_widgets.figures.equivalence_words import epsilon_words, reference_words, zero_value
from netgeom_widgets.figures.plots import (
    LEGEND_ENTRIES,
    SMALL,
    add_caption,
    fit_range,
    limits,
    literal,
    make_plot,
    number,
    say,
)
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.theme import GRID, PICKED

#: Dashes, in turn: no line is told by its colour alone.
_DASHES: tuple[list[int], ...] = ([], [6, 3], [2, 2], [9, 3, 2, 3])
#: Pixels of a narrow legend, of a sign in it, and of a letter.
_WIDTH, _SIGN, _LETTER = 430, 44, 6


class LossLinePicture:
    """Slices of one axis; ``root`` is the plot.

    Parameters
    ----------
    height : int
        Pixels.

    Attributes
    ----------
    slices : dict of str to LossSlice
    epsilon : float or None
    """

    def __init__(self, height: int = 320, **options: Any) -> None:
        self.slices: dict[str, Any] = {}
        self.epsilon: float | None = None
        self._notes: list[str] = []
        self._letter = "R"
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        options = {"tools": ("pan", "wheel_zoom", "box_zoom", "reset"), "name": "loss along directions"} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, **options)
        self._legend = Legend(
            items=[], orientation="horizontal", location="left", label_text_font_size=SMALL, border_line_alpha=0,
            background_fill_alpha=0, padding=1, margin=0, spacing=6, glyph_height=12, glyph_width=26, label_height=12,
            label_standoff=3,
        )  # fmt: skip
        self.root.add_layout(self._legend, "above")
        self._lines: list[GlyphRenderer] = [self._add_line(at) for at in range(LEGEND_ENTRIES)]
        tips = [("direction", "@name"), ("c", "@x{%.4g}"), ("loss", "@loss{%.4g}")]
        formats: dict[str, Any] = {"@x": "printf", "@loss": "printf"}
        self.root.add_tools(HoverTool(renderers=list(self._lines), tooltips=tips, formatters=formats, mode="mouse"))
        self._span = Span(
            location=0, dimension="width", line_color=EPSILON, line_width=2.2, line_dash=[6, 3], visible=False
        )  # fmt: skip
        self._point = Span(location=0, dimension="height", line_color=PICKED, line_width=2, visible=False)
        for span in (self._span, self._point, Span(location=0, dimension="height", line_color=GRID, line_width=1)):
            self.root.add_layout(span)
        self._caption = add_caption(self.root)

    def show(
        self,
        slices: Any,
        *,
        epsilon: float | None = None,
        label: str = "c (units of each basis row)",
        partial: bool = False,
        title: str | None = None,
        note: str = "",
    ) -> None:
        """Show slices.

        Parameters
        ----------
        slices : LossSlice, or mapping of str to LossSlice
            Of one axis each; a name says what the direction is. Twelve at most.
        epsilon : float, optional
        label : str
            Of the horizontal axis.
        partial : bool
            Whether NaN is what is not known yet: the lines go on over it.
        title, note : str, optional
            Above, and said below.

        Raises
        ------
        NetgeomError
            For slices of more axes than one, and for none or more than twelve.
        """
        named = {literal(name): one for name, one in slices.items()} if isinstance(slices, Mapping) else {"": slices}
        if not 1 <= len(named) <= LEGEND_ENTRIES or any(len(one.axes) != 1 for one in named.values()):
            raise NetgeomError(
                "These are no slices along single directions.", expected=f"1 to {LEGEND_ENTRIES} slices of one axis",
                got=", ".join(f"{len(one.axes)} axes" for one in named.values()) or "none",
            )  # fmt: skip
        self.slices = named
        first = next(iter(named.values()))
        self._letter = slice_values(first)[1]
        logs = {name: log_loss(slice_values(one)[0]) for name, one in named.items()}
        for at, line in enumerate(self._lines):
            name = list(named)[at] if at < len(named) else None
            line.data_source.data = _columns(name, named, logs, partial)
        names = [name for name in named if name]
        pairs = zip(names, self._lines, strict=False)
        self._legend.items = [LegendItem(label={"value": name}, renderers=[line]) for name, line in pairs]
        longest = max(map(len, names), default=0)
        self._legend.update(visible=bool(names), ncols=max(1, _WIDTH // (_SIGN + _LETTER * longest)))
        fit_range(self._x, *limits(*(one.axes[0] for one in named.values())))
        fit_range(self._y, *limits(*logs.values()), margin=0.06)
        self.root.xaxis[0].axis_label, self.root.yaxis[0].axis_label = literal(label), f"log10 {self._letter}"
        self.root.title.text = literal(title) if title is not None else f"Along a line: {quantity(self._letter)}"
        missing = sum(int(np.isnan(values).sum()) for values in logs.values())
        gaps = f"Gaps: no finite value ({missing:,} points)." if missing and not partial else ""
        self._notes = [gaps, *reference_words(first, self._letter), literal(note)]
        self.mark_point(None)
        self.set_epsilon(self.epsilon if epsilon is None else epsilon)

    def set_epsilon(self, epsilon: float | None) -> None:
        """Move the line of epsilon; None draws none."""
        self.epsilon = as_epsilon(epsilon)
        self._span.visible = epsilon is not None
        said = ""
        if epsilon is not None:
            self._span.location = math.log10(max(epsilon, FLOOR))
            values = [slice_values(one)[0] for one in self.slices.values()]
            if values:
                zero = zero_value(next(iter(self.slices.values())), self._letter)
                said = f"Dashed: {number(epsilon)}. " + epsilon_words(
                    np.concatenate(values), epsilon, self._letter, zero
                )
        say(self._caption, said, *self._notes)

    def mark_point(self, point: float | None) -> None:
        """Mark a coordinate; None marks none."""
        self._point.visible = point is not None
        if point is not None:
            self._point.location = float(point)

    def on_point(self, act: Callable[[float], None], *, double: bool = False) -> None:
        """Call with the coordinate that the user taps, or taps twice."""
        on_tap(self.root, lambda event: event.x, act, double=double)

    def _add_line(self, at: int) -> GlyphRenderer:
        colours = palettes.categorical(LEGEND_ENTRIES)
        source = ColumnDataSource({name: [] for name in ("x", "y", "loss", "name")})
        dash = _DASHES[at % len(_DASHES)]
        return self.root.line("x", "y", source=source, line_width=2.2, line_color=colours[at], line_dash=dash)


def _columns(
    name: str | None, slices: Mapping[str, Any], logs: Mapping[str, np.ndarray], partial: bool
) -> dict[str, Any]:
    """The columns of one line; None is none."""
    if name is None:
        return {column: [] for column in ("x", "y", "loss", "name")}
    kept = np.isfinite(logs[name]) | (not partial)
    x, loss = np.asarray(slices[name].axes[0], dtype=float)[kept], slice_values(slices[name])[0][kept]
    return {"x": x, "y": logs[name][kept], "loss": loss, "name": [name] * len(x)}
