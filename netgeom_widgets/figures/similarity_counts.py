"""How many neighbours inputs have, as the network sees them: histograms, with the inputs that stand at their bins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from bokeh.events import SelectionGeometry
from bokeh.models import BoxSelectTool, ColumnDataSource, HoverTool, LayoutDOM
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import fit_range, number, wrapping_row
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.sprites import SpriteSheet
from netgeom_widgets.figures.stairs import StairsPlot, bin_edges, check_names
from netgeom_widgets.figures.taps import nearest_id, on_tap
from netgeom_widgets.figures.theme import GRID
from netgeom_widgets.figures.transition_marks import hover_html

_BINS = 10
#: Thumbnails over a histogram at most, their pixels, and the part of the frame that they take.
_MOST, _SIDE, _STRIP = 11, 20.0, 0.22
_LEAST = 280  # pixels of a plot, so that its caption fits
_SELF = "Each input counts itself."


class CountsHistogram:
    """The histogram of one neighbour count over all inputs; ``root`` is its plot.

    Parameters
    ----------
    sprites : SpriteMarks, optional
        Thumbnails: of the input nearest to each end of a bin, above it.
    height : int
        In pixels.
    """

    def __init__(self, sprites: SpriteMarks | None = None, height: int = 220) -> None:
        self._sprites = sprites
        self._plot = StairsPlot(height, what="neighbours")
        self.root = self._plot.root
        self.root.min_width = _LEAST
        self._marks = ColumnDataSource({name: [] for name in ("x", "y", "id", "count", "tile", "text")})
        if sprites is not None:
            frames = self.root.scatter(
                "x", "y", source=self._marks, marker="square", size=_SIDE + 3, fill_color=None, line_color=GRID
            )
            sprites.add(self.root, self._marks, _SIDE)
            tips = hover_html([("input", "@id"), ("neighbours", "@count")], True)
            self.root.add_tools(HoverTool(renderers=[frames], tooltips=tips, formatters={"@tile": sprites.hover()}))
        self.root.add_tools(BoxSelectTool(renderers=[], dimensions="width", continuous=False))

    def draw(
        self,
        counts: Float[np.ndarray, " n"],
        *,
        name: str,
        ids: Int[np.ndarray, " n"] | None = None,
        bins: int | None = None,
        note: str = _SELF,
    ) -> None:
        """Show how counts are distributed.

        Parameters
        ----------
        counts : (n,) float
        name : str
            Which count: "soft", "hard, k > 0.9", "less soft, a = 2".
        ids : (n,) int, optional
            Sample ids; 0, 1, ... by default.
        bins : int, optional
            How many; by default 10 with thumbnails, else about the root of n, 8 to 40.
        note : str
            Said below; by default the convention of the counts.
        """
        column = np.asarray(counts, dtype=float)
        known = np.arange(len(column)) if ids is None else np.asarray(ids)
        if column.ndim != 1 or known.shape != column.shape:
            raise NetgeomError(
                "These are no counts.", expected="(n,) counts and ids", got=f"{column.shape}, {known.shape}"
            )
        there = np.isfinite(column)
        column, known = column[there], known[there]
        edges = bin_edges(column, bins=bins or (_BINS if self._sprites is not None else None))
        heights = np.histogram(column, edges)[0].astype(float) if len(edges) else np.empty(0)
        hows = (("mean", np.mean), ("least", np.min), ("most", np.max))
        ends = ", ".join(f"{word} {number(float(how(column)))}" for word, how in hows if len(column))
        missing = [f"{int((~there).sum()):,} without a count."] if not there.all() else []
        self._plot.draw(
            edges, {name: heights}, title=f"Neighbours, {name}", labels=(f"neighbours of an input ({name})", "inputs"),
            noun="inputs", caption=[f"{len(column):,} inputs: {ends}.", *missing, note],
        )  # fmt: skip
        self._place(column, known, edges, heights)

    def mark(self, count: float | None) -> None:
        """Mark the count of one input."""
        self._plot.mark(count, "" if count is None else f": picked {number(count)}")

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of an input whose thumbnail the user taps."""
        on_tap(self.root, lambda event: nearest_id(self.root, self._marks, event), act)

    def on_interval(self, act: Callable[[float, float], None]) -> None:
        """Call with the ends of the counts that the user draws a box over."""

        def boxed(event: SelectionGeometry) -> None:
            if event.final and event.geometry.get("type") == "rect":
                act(*sorted(float(event.geometry[end]) for end in ("x0", "x1")))

        self.root.on_event(SelectionGeometry, boxed)

    def _place(self, counts: np.ndarray, ids: np.ndarray, edges: np.ndarray, heights: np.ndarray) -> None:
        """Of each end of a bin, the input with the nearest count; the ends that have the same share it."""
        if self._sprites is None or not len(counts):
            self._marks.data = {name: [] for name in self._marks.data}
            return
        places = edges[:: max(1, -(-len(edges) // _MOST))]
        rows = [int(np.abs(counts - edge).argmin()) for edge in places.tolist()]
        top = 1.06 * float(heights.max()) / (1 - _STRIP)
        fit_range(self.root.y_range, 0.0, top)
        span = float(edges[-1] - edges[0])
        pad = 0.05 * span
        fit_range(self.root.x_range, float(edges[0]) - pad, float(edges[-1]) + pad)
        self._marks.data = {
            "x": places, "y": [top * (1 - _STRIP / 2)] * len(places), "id": ids[rows].tolist(),
            "count": [number(one) for one in counts[rows].tolist()],
            "tile": np.array(self._sprites.sprites.places(ids[rows]), dtype=np.int32), "text": [""] * len(places),
        }  # fmt: skip


def counts_histograms(
    counts: Mapping[str, Float[np.ndarray, " n"]],
    *,
    images: Any = None,
    ids: Iterable[int] | None = None,
    bins: int | None = None,
    note: str = _SELF,
    height: int = 240,
) -> LayoutDOM:
    """Histograms of neighbour counts beside each other, for scripts and notebooks (Charpiat et al. 2019, section 6).

    Parameters
    ----------
    counts : mapping of str to (n,) float
        By name: ``{"soft": neighbour_counts(values), "hard, k > 0.9": neighbour_counts(values, kind="hard", ...)}``.
    images : array_like, optional
        (n, h, w) and other shapes that `SpriteSheet.of` takes: the input nearest to each end of a bin is shown above.
    ids : iterable of int, optional
        Sample ids; 0, 1, ... by default.
    bins : int, optional
        As for `CountsHistogram.draw`.
    note : str
        Said below each; by default that an input counts itself, as `neighbour_counts` has it.
    height : int
        Of each plot, in pixels.

    Returns
    -------
    bokeh.models.Row

    Raises
    ------
    NetgeomError
        For no counts or more than 12, and where counts, images and ids do not belong together.
    """
    check_names(counts)
    columns = {name: np.asarray(values, dtype=float) for name, values in counts.items()}
    n = len(next(iter(columns.values())))
    known = np.arange(n) if ids is None else np.fromiter(ids, dtype=np.int64)
    given = {**{name: len(values) for name, values in columns.items()}, "ids": len(known)}
    if images is not None:
        given["images"] = len(images)
    if set(given.values()) != {n}:
        raise NetgeomError("Counts, images and ids do not belong together.", expected=f"{n} each", got=f"{given}")
    marks = None
    if images is not None:
        marks = SpriteMarks(_needed(images, columns, known, bins or _BINS))
    plots = []
    for name, values in columns.items():
        part = CountsHistogram(marks, height)
        part.draw(values, name=name, ids=known, bins=bins, note=note)
        plots.append(part.root)
    return wrapping_row(*plots)


def _needed(images: Any, columns: Mapping[str, np.ndarray], ids: np.ndarray, bins: int) -> SpriteSheet:
    """Thumbnails of the inputs that histograms show: a page needs no others."""
    rows: set[int] = set()
    for values in columns.values():
        finite = np.flatnonzero(np.isfinite(values))
        for edge in bin_edges(values[finite], bins=bins).tolist():
            rows.add(int(finite[np.abs(values[finite] - edge).argmin()]))
    shown = sorted(rows) or [0]
    return SpriteSheet.of(np.asarray(images)[shown], ids[shown])
