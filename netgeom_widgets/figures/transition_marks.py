"""Samples as marks: dots or thumbnails with label colours, hover boxes, lasso and tap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from bokeh.core.property.descriptors import UnsetValueError
from bokeh.events import Tap
from bokeh.models import BoxSelectTool, ColumnDataSource, HoverTool, LassoSelectTool
from bokeh.plotting import figure
from jaxtyping import Bool, Float, Int

from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.transition_plot import LEGEND_ENTRIES, KeyLegend

PICKED = "#e6007e"
#: Thumbnails in one plot at most; more of them would hide each other.
THUMBNAILS = 300
#: More samples than this are drawn with smaller dots.
_CROWD = 800
_REACH = 14  # pixels from a mark at which a tap still means it
_FRAME = (400.0, 200.0)  # pixels, until a browser has drawn the plot
_PICTURE = '<img src="@tile{picture}" width="72" style="image-rendering: pixelated; float: left; margin: 2px 8px 2px 0" alt="">'


def hover_html(facts: Iterable[tuple[str, str]], pictures: bool) -> str:
    """A hover box: thumbnail, then a line per fact; values reach it by columns only, so they are escaped."""
    lines = "".join(f"<div>{name} <b>{value}</b></div>" for name, value in facts)
    return f'<div style="max-width: 300px">{_PICTURE if pictures else ""}{lines}<div>@text</div></div>'


def nearest(plot: figure, x: Any, y: Any, event: Tap, reach: float = _REACH) -> int | None:
    """Row of the mark nearest to a tap, or None if all are farther than `reach` pixels."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if event.x is None or event.y is None or not len(x):
        return None
    across, down = (
        size / abs(r.end - r.start) for size, r in zip(_frame(plot), (plot.x_range, plot.y_range), strict=True)
    )
    far = np.hypot((x - event.x) * across, (y - event.y) * down)
    far = np.where(np.isfinite(far), far, np.inf)
    row = len(far) - 1 - int(np.argmin(far[::-1]))  # of equally near ones the last, which is drawn on top
    return row if far[row] <= reach else None


def _frame(plot: figure) -> tuple[float, float]:
    try:
        width, height = plot.inner_width, plot.inner_height
    except UnsetValueError:
        return _FRAME
    return (width, height) if width > 1 and height > 1 else _FRAME


class SampleMarks:
    """Samples in one plot.

    Parameters
    ----------
    plot : figure
    facts : sequence of (name, template)
        Lines of the hover box.
    sprites : SpriteMarks, optional
        Thumbnails for the hover boxes.
    thumbnails : bool
        Whether thumbnails are marks, too.
    texts : mapping of sample id to str, optional
        Further words for the hover box.
    """

    def __init__(
        self,
        plot: figure,
        facts: Iterable[tuple[str, str]],
        *,
        sprites: SpriteMarks | None,
        thumbnails: bool,
        texts: Mapping[int, str] | None,
        extra: tuple[str, ...] = (),
    ) -> None:
        self.plot, self.texts = plot, texts or {}
        self._sprites = sprites
        self._ids = np.empty(0, dtype=np.int64)
        self._key: tuple[Any, ...] = ()
        names = ("x", "y", "id", "label", "text", "tile", "fill", "marker", "size", "edge", "edge_width", *extra)
        self.source = ColumnDataSource({name: [] for name in names})
        self.dots = plot.scatter(
            "x",
            "y",
            source=self.source,
            size="size",
            marker="marker",
            fill_color="fill",
            fill_alpha=0.85,
            line_color="edge",
            line_width="edge_width",
        )
        # Selection is drawn by the columns: Bokeh's own way fades everything that is not selected.
        self.dots.nonselection_glyph = self.dots.selection_glyph = self.dots.glyph
        self._thumbs: ColumnDataSource | None = None
        if sprites is not None and thumbnails:
            self._thumbs = ColumnDataSource({"x": [], "y": [], "tile": []})
            self._side = 20.0
            sprites.add(plot, self._thumbs, self._side)
        self.legend = KeyLegend(plot)
        self._hover(facts)

    def _hover(self, facts: Iterable[tuple[str, str]]) -> None:
        formatters: dict[str, Any] = {}
        if self._sprites is not None:
            formatters["@tile"] = self._sprites.hover()
        self.hover = HoverTool(renderers=[self.dots], formatters=formatters, tooltips="")
        self.plot.add_tools(self.hover)
        self.tell(facts)

    def tell(self, facts: Iterable[tuple[str, str]]) -> None:
        """Lines of the hover box: (words of ours, column template)."""
        facts = list(facts)
        self.hover.formatters = {
            **{k: v for k, v in self.hover.formatters.items() if k == "@tile"},
            **{text.split("{")[0]: "printf" for _, text in facts if "{%" in text},
        }
        self.hover.tooltips = hover_html(facts, self._sprites is not None)

    def add_lasso(self, act: Callable[[list[int]], None]) -> None:
        """Add lasso and box; call with the ids of the samples drawn around."""

        def changed(attr: str, old: Any, new: list[int]) -> None:
            if new:  # emptied when the samples are drawn again
                act([int(self._ids[row]) for row in new if row < len(self._ids)])

        self.source.selected.on_change("indices", changed)

    def add_tools(self) -> None:
        """Lasso and box; they tell only at the end of a stroke."""
        lasso = LassoSelectTool(renderers=[self.dots], continuous=False)
        self.plot.add_tools(lasso, BoxSelectTool(renderers=[self.dots], continuous=False))
        self.plot.toolbar.active_drag = lasso

    def at(self, event: Tap) -> int | None:
        """Id of the sample a tap means."""
        row = nearest(self.plot, self.source.data["x"], self.source.data["y"], event)
        return None if row is None else int(self._ids[row])

    def set(
        self,
        ids: Int[np.ndarray, " N"],
        x: Float[np.ndarray, " N"],
        y: Float[np.ndarray, " N"],
        *,
        labels: SampleLabels,
        selection: Iterable[int] = (),
        prominence: Float[np.ndarray, " N"] | None = None,
        **extra: Any,
    ) -> int:
        """Draw samples; where only places changed since the last call, only those are sent.

        `prominence` says which are drawn in front and get thumbnails first. Returns how many have a thumbnail.
        """
        picked = np.isin(ids, np.fromiter(selection, dtype=np.int64))
        rank = np.zeros(len(ids)) if prominence is None else np.nan_to_num(prominence, nan=-np.inf)
        front = np.lexsort((rank, picked)) if self._thumbs is not None else np.lexsort((np.arange(len(ids)), picked))
        thumbs = self._set_thumbs(ids, x, y, front)
        key = (ids.tobytes(), front.tobytes(), picked.tobytes(), thumbs.tobytes(), id(labels.labels))
        places = {"x": x[front], "y": y[front], **{name: column[front] for name, column in extra.items()}}
        if key == self._key:
            self.source.data.update(places)
        else:
            self._key, self._ids = key, ids[front]
            if self.source.selected.indices:
                self.source.selected.indices = []
            self.source.data = {**places, **self._looks(front, picked, thumbs, labels)}
        return int(thumbs.sum())

    def _set_thumbs(self, ids: np.ndarray, x: np.ndarray, y: np.ndarray, front: np.ndarray) -> Bool[np.ndarray, " N"]:
        """Draw the thumbnails of the foremost samples; which those are."""
        shown = np.zeros(len(ids), dtype=bool)
        if self._thumbs is None or self._sprites is None:
            return shown
        tiles = np.array(self._sprites.sprites.places(ids), dtype=np.int32)
        rows = front[(tiles[front] >= 0) & np.isfinite(x[front]) & np.isfinite(y[front])][-THUMBNAILS:]
        shown[rows] = True
        self._thumbs.data = {"x": x[rows], "y": y[rows], "tile": tiles[rows]}
        return shown

    def _looks(self, front: np.ndarray, picked: np.ndarray, thumbs: np.ndarray, labels: SampleLabels) -> dict[str, Any]:
        ids, rows = self._ids.tolist(), front.tolist()
        small = len(ids) > _CROWD
        crowded = int(picked.sum()) > _CROWD / 10
        size = np.where(thumbs, self._side + 5 if thumbs.any() else 0, 4.5 if small else 7.0)
        size = size + np.where(picked & ~thumbs, 1.0 if crowded else 3.0, 0.0)
        width = np.where(picked, 1.2 if crowded else 2.5, np.where(thumbs, 0.0, 0.5))
        tiles = [-1] * len(ids) if self._sprites is None else self._sprites.sprites.places(ids)
        unlabelled = labels.labels is None
        return {
            "id": self._ids,
            "label": [labels.names[row] for row in rows],
            "text": [str(self.texts.get(sample, "")) for sample in ids],
            "tile": np.array(tiles, dtype=np.int32),
            "fill": ["#bbbbbb" if unlabelled else labels.colours[row] for row in rows],
            "marker": ["square" if thumbs[row] else labels.markers[row] for row in rows],
            "size": size[front],
            "edge": [PICKED if picked[row] else "#404040" for row in rows],
            "edge_width": width[front],
        }

    def show_legend(self, labels: SampleLabels) -> str:
        """The labels' colours and shapes, if there are few; a remark if there are many."""
        entries = labels.legend
        self.legend.set(entries if len(entries) <= LEGEND_ENTRIES else [])
        many = len(entries) > LEGEND_ENTRIES
        return f"{len(entries)} labels: point at a sample to read its label." if many else ""
