"""Ranked strips: an input, and those that the network takes for most like it, with their similarity under each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from bokeh.models import LayoutDOM
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import literal, say
from netgeom_widgets.figures.similarity_ranking import Facts, Strip, k_text, ranked
from netgeom_widgets.figures.similarity_rows import Line, RowsPlot
from netgeom_widgets.figures.similarity_thumbnails import Cell, ThumbnailPlot
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.sprites import SpriteSheet
from netgeom_widgets.figures.taps import on_tap

#: Columns between an input, its nearest and its farthest; more columns than this leave room for two decimals only.
_GAP, _WIDE = 0.5, 10


class NeighbourStrips:
    """Strips one under the other; ``root`` is the plot. Thumbnails where there are images, else rows of text.

    Parameters
    ----------
    sprites : SpriteMarks, optional
        Thumbnails by sample id.
    """

    def __init__(self, sprites: SpriteMarks | None = None) -> None:
        self._plot: Any = RowsPlot() if sprites is None else ThumbnailPlot(sprites)
        self.root = self._plot.root

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
        if isinstance(self._plot, ThumbnailPlot):
            self._draw_thumbnails(strips, known)
        else:
            self._plot.draw(_lines(strips, known), known, ("k", "label"))
        self.root.title.text = literal(title)
        wrong = any(known.is_wrong(one) for strip in strips for one in strip.ids)
        thumbnails = isinstance(self._plot, ThumbnailPlot)
        say(
            self._plot.caption,
            _order_words(strips) if strips else "",
            "The number under each is k, its similarity to the first." if strips and thumbnails else "",
            "Orange: predicted otherwise than labelled (label \N{RIGHTWARDS ARROW} prediction)." if wrong else "",
            note,
        )

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a sample that the user taps."""
        on_tap(self.root, self._plot.sample_at, act)

    def _draw_thumbnails(self, strips: Sequence[Strip], facts: Facts) -> None:
        near, far = (max((len(pairs) for pairs in some), default=0) for some in _sides(strips))
        columns = 1 + near + far + _GAP * (1 + bool(far))
        digits = 3 if columns <= _WIDE else 2
        cells = []
        for row, strip in enumerate(strips):
            own = facts.is_wrong(strip.sample)
            cells.append(Cell(0.0, row, strip.sample, "", facts.short(strip.sample), own, True))
            for first, pairs in ((1 + _GAP, strip.nearest), (1 + 2 * _GAP + near, strip.farthest)):
                cells += [
                    Cell(first + rank, row, one, k_text(k, digits), facts.short(one), facts.is_wrong(one))
                    for rank, (one, k) in enumerate(pairs)
                ]
        self._plot.draw(cells, facts, columns)


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
    shown = sorted({one for strip in strips for one in strip.ids})
    marks = None
    if images is not None:
        marks = SpriteMarks(SpriteSheet.of(np.asarray(images)[shown], shown))
    part = NeighbourStrips(marks)
    part.draw(strips, Facts.of(shown, labels, predictions, texts), title=title)
    return part.root


def _sides(strips: Sequence[Strip]) -> tuple[list[Any], list[Any]]:
    return [strip.nearest for strip in strips], [strip.farthest for strip in strips]


def _lines(strips: Sequence[Strip], facts: Facts) -> list[Line]:
    lines = []
    for strip in strips:
        first = strip.sample
        lines.append(Line("input", first, "", facts.short(first), facts.is_wrong(first), True))
        last = len(strip.farthest)
        ranks = [f"{rank + 1}." for rank in range(len(strip.nearest))]
        ranks += [f"last {last - at}" if last - at > 1 else "last" for at in range(last)]
        for rank, (one, k) in zip(ranks, (*strip.nearest, *strip.farthest), strict=True):
            lines.append(Line(rank, one, k_text(k), facts.short(one), facts.is_wrong(one)))
    return lines


def _order_words(strips: Sequence[Strip]) -> str:
    near, far = (max(len(pairs) for pairs in some) for some in _sides(strips))
    words = f"First an input, then the {near} most like it"
    return f"{words}, then the {far} least like it." if far else f"{words}."
