"""Samples as marks: dots or thumbnails with label colours, hover boxes, lasso and tap."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

import numpy as np
from bokeh.models import BoxSelectTool, ColumnDataSource, HoverTool, LassoSelectTool
from bokeh.plotting import figure
from jaxtyping import Bool, Float, Int

from netgeom_widgets.figures.plots import LEGEND_ENTRIES, KeyLegend, number
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.taps import nearest_id, on_tap, pixels_per_unit
from netgeom_widgets.figures.theme import PICKED

#: Thumbnails in one plot at most, and pixels of one with its frame.
_THUMBNAILS = 200
_SIDE, _FRAMED = 20.0, 24.0
#: More samples than this are drawn as smaller dots, more picked ones than that with thinner outlines.
_CROWD, _PICKED_CROWD = 800, 80
_PICTURE = '<img src="@tile{picture}" width="72" alt="" style="image-rendering: pixelated; align-self: start">'
_BOX = '<div style="display: flex; gap: 8px; max-width: 380px">{}<div style="white-space: nowrap">{}</div></div>'
_TEXT = '<div style="white-space: normal; max-width: 260px; overflow-wrap: anywhere">@text</div>'
_NO_COLOUR = "#bbbbbb"  # samples without labels


def hover_html(facts: Iterable[tuple[str, str]], pictures: bool) -> str:
    """A hover box: thumbnail, then a line per (words, column template); values come by columns, which are escaped."""
    lines = "".join(f"<div>{_literal(name)} <b>{value}</b></div>" for name, value in facts)
    return _BOX.format(_PICTURE if pictures else "", lines + _TEXT)


def _literal(words: str) -> str:
    """Words that neither HTML nor Bokeh's templates read anything into."""
    return escape(words).replace("@", "&#64;").replace("$", "&#36;")


class SampleMarks:
    """Samples in one plot.

    Parameters
    ----------
    plot : figure
    sprites : SpriteMarks, optional
        Thumbnails for the hover boxes.
    thumbnails : bool
        Whether thumbnails are marks, too.
    texts : mapping of sample id to str, optional
        Further words for the hover boxes.
    """

    def __init__(
        self, plot: figure, *, sprites: SpriteMarks | None, thumbnails: bool, texts: Mapping[int, str] | None
    ) -> None:
        self.plot, self._texts, self._sprites = plot, texts or {}, sprites
        self._ids = np.empty(0, dtype=np.int64)
        self._key: tuple[Any, ...] = ()
        names = ("x", "y", "id", "label", "text", "tile", "fill", "marker", "size", "edge", "edge_width")
        self.source = ColumnDataSource({name: [] for name in names})
        self._dots = plot.scatter(
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
        self._dots.nonselection_glyph = self._dots.selection_glyph = self._dots.glyph
        self._thumbs: ColumnDataSource | None = None
        if sprites is not None and thumbnails:
            self._thumbs = ColumnDataSource({"x": [], "y": [], "tile": []})
            sprites.add(plot, self._thumbs, _SIDE)
        self._legend = KeyLegend(plot)
        self._pictures = {"@tile": sprites.hover()} if sprites is not None else {}
        self._hover = HoverTool(renderers=[self._dots], tooltips="", formatters=self._pictures)
        # Only at the end of a stroke: on its way, samples drawn anew would arrive among selections of their old rows.
        lasso, box = (tool(renderers=[self._dots], continuous=False) for tool in (LassoSelectTool, BoxSelectTool))
        plot.add_tools(self._hover, lasso, box)
        plot.toolbar.active_drag = lasso

    def tell(self, facts: Iterable[tuple[str, str]]) -> None:
        """Lines of the hover box: (words, column template)."""
        facts = list(facts)
        html = hover_html(facts, bool(self._pictures))
        if html != self._hover.tooltips:
            printf = {text.split("{")[0]: "printf" for _, text in facts if "{%" in text}
            self._hover.update(tooltips=html, formatters={**self._pictures, **printf})

    def on_lasso(self, act: Callable[[list[int]], None]) -> None:
        """Call with the ids of the samples drawn around."""

        def changed(attr: str, old: Any, new: list[int]) -> None:
            if new:  # emptied when the samples are drawn again
                act([int(self._ids[row]) for row in new if row < len(self._ids)])

        self.source.selected.on_change("indices", changed)

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a sample that is tapped."""
        on_tap(self.plot, lambda event: nearest_id(self.plot, self.source, event), act)

    def set(
        self,
        ids: Int[np.ndarray, " N"],
        x: Float[np.ndarray, " N"],
        y: Float[np.ndarray, " N"],
        *,
        labels: SampleLabels,
        selection: Iterable[int] = (),
        prominence: Float[np.ndarray, " N"] | None = None,
    ) -> int:
        """Draw samples; where only places changed since the last call, only those are sent.

        `prominence` says which are drawn in front and get thumbnails first. Returns how many have a thumbnail.
        """
        picked = np.isin(ids, np.fromiter(selection, dtype=np.int64))
        rank = np.zeros(len(ids)) if prominence is None else np.nan_to_num(prominence, nan=-np.inf)
        front = np.lexsort((rank, picked))
        thumbs = self._set_thumbs(ids, x, y, front)
        key = (ids.tobytes(), front.tobytes(), picked.tobytes(), thumbs.tobytes(), id(labels))
        places = {"x": x[front], "y": y[front]}
        if key == self._key:
            self.source.data.update(places)
        else:
            self._key, self._ids = key, ids[front]
            if self.source.selected.indices:
                self.source.selected.indices = []
            self.source.data = {**places, **self._looks(front, picked[front], thumbs[front], labels)}
        return int(thumbs.sum())

    def _set_thumbs(self, ids: np.ndarray, x: np.ndarray, y: np.ndarray, front: np.ndarray) -> Bool[np.ndarray, " N"]:
        """Draw thumbnails of the foremost samples where they do not hide each other; which those are."""
        shown = np.zeros(len(ids), dtype=bool)
        if self._thumbs is None or self._sprites is None:
            return shown
        tiles = np.array(self._sprites.sprites.places(ids), dtype=np.int32)
        across, up = (places * unit for places, unit in zip((x, y), pixels_per_unit(self.plot), strict=True))
        usable = front[(tiles[front] >= 0) & np.isfinite(x[front]) & np.isfinite(y[front])]
        rows = usable[::-1][_apart(across[usable[::-1]], up[usable[::-1]])][::-1]
        shown[rows] = True
        self._thumbs.data = {"x": x[rows], "y": y[rows], "tile": tiles[rows]}
        return shown

    def _looks(self, front: np.ndarray, picked: np.ndarray, thumbs: np.ndarray, labels: SampleLabels) -> dict[str, Any]:
        """Columns but for the places; all arguments in drawing order."""
        ids, rows = self._ids.tolist(), front.tolist()
        crowded = int(picked.sum()) > _PICKED_CROWD
        size = np.where(thumbs, _FRAMED, 4.5 if len(ids) > _CROWD else 7.0)
        width = np.where(thumbs, 0.0, 0.5)
        tiles = [-1] * len(ids) if self._sprites is None else self._sprites.sprites.places(ids)
        plain = labels.labels is None
        return {
            "id": self._ids,
            "label": [labels.names[row] for row in rows],
            "text": [str(self._texts.get(sample, "")) for sample in ids],
            "tile": np.array(tiles, dtype=np.int32),
            "fill": [_NO_COLOUR if plain else labels.colours[row] for row in rows],
            "marker": ["square" if thumb else labels.markers[row] for thumb, row in zip(thumbs, rows, strict=True)],
            "size": size + np.where(picked & ~thumbs, 1.0 if crowded else 3.0, 0.0),
            "edge": [PICKED if one else "#404040" for one in picked],
            "edge_width": np.where(picked, 1.2 if crowded else 2.5, width),
        }

    def show_legend(self, labels: SampleLabels) -> str:
        """The labels' colours and shapes, if there are few; a remark if there are many."""
        entries = labels.legend
        many = len(entries) > LEGEND_ENTRIES
        self._legend.set([] if many else entries)
        if labels.scale is not None:
            low, high = labels.scale
            return f"Colour: label, from {number(low)} (dark) to {number(high)} (yellow)."
        return f"{len(entries)} labels: point at a sample to read its own." if many else ""


def _apart(x: np.ndarray, y: np.ndarray) -> list[int]:
    """Of marks at these pixels, first come first served, those that keep clear of each other."""
    kept: list[int] = []
    cells: dict[tuple[int, int], tuple[float, float]] = {}  # one mark in a cell: they are a cell's side apart
    for row, (across, up) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        column, line = math.floor(across / _FRAMED), math.floor(up / _FRAMED)
        around = [cells.get((column + i, line + j)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        if any(one and abs(one[0] - across) < _FRAMED and abs(one[1] - up) < _FRAMED for one in around):
            continue
        kept.append(row)
        cells[column, line] = (across, up)
        if len(kept) == _THUMBNAILS:
            break
    return kept
