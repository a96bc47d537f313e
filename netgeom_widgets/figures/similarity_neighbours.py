"""Ranked strips: an input, and those that the network takes for most like it, with their similarity under each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, LayoutDOM, Range1d
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import SMALL, add_caption, fit_range, literal, make_plot, say
from netgeom_widgets.figures.similarity_ranking import INK, WRONG, Facts, Strip, k_text, ranked
from netgeom_widgets.figures.similarity_rows import NeighbourRows
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.sprites import SpriteSheet
from netgeom_widgets.figures.theme import GRID, PICKED
from netgeom_widgets.figures.transition_marks import hover_html, nearest

#: Pixels of a thumbnail, of a line of words under it, and of title, caption and borders.
_TILE, _LINE, _AROUND = 40.0, 13, 66
#: Pixels that a thumbnail gets at most in a wide cell, and columns between input, nearest and farthest.
_ROOM, _GAP = 64, 0.5
#: Pixels of a narrow cell.
_NARROW = 440.0
#: More columns than this leave room for two decimals only.
_WIDE = 10


class NeighbourStrips:
    """Strips one under the other; ``root`` is the plot. Thumbnails where there are images, else rows of text.

    Parameters
    ----------
    sprites : SpriteMarks, optional
        Thumbnails by sample id.
    """

    def __init__(self, sprites: SpriteMarks | None = None) -> None:
        self._sprites = sprites
        self._callbacks: list[Callable[[int], None]] = []
        self._part: Any = _Thumbnails(sprites) if sprites is not None else NeighbourRows()
        self.root = self._part.root
        self.root.on_event(Tap, self._tapped)

    def draw(self, strips: Sequence[Strip], facts: Facts | None = None, *, title: str = "", note: str = "") -> None:
        """Show strips; without any, the note alone.

        Parameters
        ----------
        strips : sequence of Strip
        facts : Facts, optional
            Labels and predictions are written under each, and mark what the network gets wrong.
        title, note : str
        """
        known = facts or Facts()
        ids = [
            one for strip in strips for one in (strip.sample, *(pair[0] for pair in (*strip.nearest, *strip.farthest)))
        ]
        wrong = any(known.is_wrong(one) for one in ids)
        counts = {(len(strip.nearest), len(strip.farthest)) for strip in strips}
        self._part.draw(strips, known)
        self.root.title.text = literal(title)
        say(
            self._part.caption,
            _order_words(counts) if strips else "",
            "The number under each is k, its similarity to the first." if strips and self._sprites is not None else "",
            "Orange: predicted otherwise than labelled (label \N{RIGHTWARDS ARROW} prediction)." if wrong else "",
            note,
        )

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a sample that the user taps."""
        self._callbacks.append(act)

    def _tapped(self, event: Tap) -> None:
        sample = self._part.sample_at(event)
        if sample is not None:
            for act in self._callbacks:
                act(sample)


class _Thumbnails:
    """Strips of thumbnails."""

    def __init__(self, sprites: SpriteMarks) -> None:
        self._sprites = sprites
        self._x, self._y = (Range1d(*ends, reset_start=ends[0], reset_end=ends[1]) for ends in ((0, 1), (1, 0)))
        self.root = make_plot(160, x_range=self._x, y_range=self._y, tools=[], toolbar_location=None)
        self.root.axis.visible = self.root.grid.visible = False
        self.root.outline_line_color = None
        columns = ("x", "y", "id", "k", "label", "prediction", "text", "tile", "edge", "width", "size", "under", "ink")
        self.marks = ColumnDataSource({name: [] for name in columns})
        frames = self.root.scatter(
            "x", "y", source=self.marks, marker="square", size="size", fill_color=None, line_color="edge",
            line_width="width",
        )  # fmt: skip
        self._tiles = sprites.add(self.root, self.marks, _TILE)
        for at, (column, ink) in enumerate((("k", INK), ("under", "ink"))):
            self.root.text(
                "x", "y", column, source=self.marks, y_offset=_TILE / 2 + 4 + at * _LINE, text_align="center",
                text_baseline="top", text_font_size=SMALL, text_color=ink,
            )  # fmt: skip
        facts = [("input", "@id"), ("k", "@k"), ("label", "@label"), ("prediction", "@prediction")]
        tips, formatters = hover_html(facts, True), {"@tile": sprites.hover()}
        self.root.add_tools(HoverTool(renderers=[frames], tooltips=tips, formatters=formatters))
        self.caption = add_caption(self.root)

    def draw(self, strips: Sequence[Strip], facts: Facts) -> None:
        near = max((len(strip.nearest) for strip in strips), default=0)
        far = max((len(strip.farthest) for strip in strips), default=0)
        columns = 1 + near + far + _GAP * (1 + bool(far))
        lines = 1 + bool(facts.labels or facts.predictions)
        side = min(_TILE, math.floor(_NARROW / columns) - 4)
        height = _TILE + 14 + lines * _LINE
        digits = 3 if columns <= _WIDE else 2
        rows: list[tuple[float, float, int, str, bool]] = []
        for at, strip in enumerate(strips):
            y = at + (_TILE / 2 + 5) / height
            rows.append((0.5, y, strip.sample, "", True))
            for first, pairs in ((1 + _GAP, strip.nearest), (1 + 2 * _GAP + near, strip.farthest)):
                rows += [(first + 0.5 + rank, y, one, k_text(k, digits), False) for rank, (one, k) in enumerate(pairs)]
        self._sprites.resize(self._tiles, side)
        self._set(rows, facts, side)
        fit_range(self._x, 0.0, max(columns, 4.0))
        fit_range(self._y, 0.0, float(len(strips) or 1), flipped=True)
        self.root.update(height=int(max(1, len(strips)) * height) + _AROUND, max_width=int(_ROOM * max(columns, 7)))

    def sample_at(self, event: Tap) -> int | None:
        row = nearest(self.root, self.marks.data["x"], self.marks.data["y"], event)
        return None if row is None else int(self.marks.data["id"][row])

    def _set(self, rows: list[tuple[float, float, int, str, bool]], facts: Facts, side: float) -> None:
        ids = [row[2] for row in rows]
        own = [row[4] for row in rows]
        wrong = [facts.is_wrong(one) for one in ids]
        self.marks.data = {
            "x": [row[0] for row in rows],
            "y": [row[1] for row in rows],
            "id": ids,
            "k": [row[3] for row in rows],
            "label": [facts.label(one) for one in ids],
            "prediction": [facts.prediction(one) for one in ids],
            "text": [facts.words(one) for one in ids],
            "tile": np.array(self._sprites.sprites.places(ids), dtype=np.int32),
            "edge": [WRONG if bad else PICKED if me else GRID for bad, me in zip(wrong, own, strict=True)],
            "width": [2.5 if bad or me else 1.0 for bad, me in zip(wrong, own, strict=True)],
            "size": [side + 3.0] * len(ids),
            "under": [facts.short(one) for one in ids],
            "ink": [WRONG if bad else INK for bad in wrong],
        }


def neighbour_strips(
    values: Float[np.ndarray, "n n"],
    ids: Iterable[int],
    images: Any = None,
    *,
    labels: Any = None,
    predictions: Any = None,
    texts: Sequence[str] | None = None,
    k: int = 10,
    farthest: int = 0,
    title: str = "Nearest inputs, as the network sees them",
) -> LayoutDOM:
    """Inputs with those most like them beside, for scripts and notebooks (Charpiat et al. 2019, section 5).

    Parameters
    ----------
    values : (n, n) float
        A similarity matrix: ``similarity_matrix(model, inputs).values``.
    ids : iterable of int
        The inputs to show, by their rows.
    images : array_like, optional
        (n, h, w) and other shapes that `SpriteSheet.of` takes. Without images, `texts` are shown.
    labels, predictions : (n,) array_like, optional
        Written under each; what is predicted wrongly is marked.
    texts : sequence of n str, optional
        Words for each input, shown for inputs without images and in the hover box.
    k, farthest : int
        How many of the most and of the least alike.

    Returns
    -------
    bokeh.models.Plot

    Raises
    ------
    NetgeomError
        Where ids, images, labels, predictions or texts do not belong to the matrix.

    Examples
    --------
    >>> neighbour_strips(similarity.values, [3, 14], images, labels=labels, k=8)  # doctest: +SKIP
    """
    values = np.asarray(values)
    n = len(values)
    if values.ndim != 2 or values.shape != (n, n):
        raise NetgeomError("Strips need a square matrix.", expected="(n, n) values", got=f"shape {values.shape}")
    wanted = [int(one) for one in ids]
    if not wanted or not all(0 <= one < n for one in wanted):
        raise NetgeomError("There is no such input.", expected=f"ids from 0 to {n - 1}", got=f"{wanted}")
    for name, given in (("images", images), ("labels", labels), ("predictions", predictions), ("texts", texts)):
        if given is not None and len(given) != n:
            raise NetgeomError(f"The {name} do not belong to the matrix.", expected=f"{n}", got=f"{len(given)}")
    if k < 1 or farthest < 0:
        raise NetgeomError("A strip needs neighbours.", expected="k >= 1, farthest >= 0", got=f"{k}, {farthest}")
    strips = [ranked(values[one], one, k, farthest) for one in wanted]
    shown = sorted({one for strip in strips for one in (strip.sample, *_ids(strip))})
    marks = None
    if images is not None:
        marks = SpriteMarks(SpriteSheet.of(np.asarray(images)[shown], shown))
    facts = Facts(
        *(None if given is None else {one: given[one] for one in shown} for given in (labels, predictions, texts))
    )
    part = NeighbourStrips(marks)
    part.draw(strips, facts, title=title)
    return part.root


def _ids(strip: Strip) -> list[int]:
    return [one for one, _ in (*strip.nearest, *strip.farthest)]


def _order_words(counts: set[tuple[int, int]]) -> str:
    near, far = (max(one[at] for one in counts) for at in (0, 1))
    words = f"First an input, then the {near} most like it"
    return f"{words}, then the {far} least like it." if far else f"{words}."
