"""One pair of inputs: both of them, how alike the network treats them, and which parameters make it so."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from bokeh.models import Column, ColumnDataSource, HoverTool, LayoutDOM, Range1d, Span
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import SMALL, add_caption, fit_range, literal, make_plot, name_ticks, number, say
from netgeom_widgets.figures.similarity_ranking import INK, WRONG, Facts, k_text
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.sprites import SpriteSheet
from netgeom_widgets.figures.theme import GRID

#: Pixels of a thumbnail, and of the plot above and of a bar below.
_TILE, _HEIGHT, _BAR = 64.0, 160, 20
#: More parameters than this are put together; letters of a parameter's name, and of a line of the user's words.
_MOST, _NAME, _LETTERS = 12, 24, 26
#: Where the two inputs stand, in parts of the width.
_PLACES = (0.2, 0.8)


class PairPart:
    """Two inputs side by side, and the shares of their similarity; ``root`` is a Bokeh column.

    Parameters
    ----------
    sprites : SpriteMarks, optional
        Thumbnails by sample id; without, the user's words are shown.
    """

    def __init__(self, sprites: SpriteMarks | None = None) -> None:
        self._sprites = sprites
        ends = {name: Range1d(0, 1, reset_start=0, reset_end=1) for name in ("x_range", "y_range")}
        self._above = make_plot(_HEIGHT, tools=[], toolbar_location=None, title="One pair of inputs", **ends)
        self._above.axis.visible = self._above.grid.visible = False
        self._above.outline_line_color = None
        self._marks = ColumnDataSource({name: [] for name in ("x", "y", "tile", "edge", "width")})
        self._words = ColumnDataSource({name: [] for name in ("x", "y", "text", "ink", "base", "size")})
        if sprites is not None:
            self._above.scatter(
                "x", "y", source=self._marks, marker="square", size=_TILE + 4, fill_color=None, line_color="edge",
                line_width="width",
            )  # fmt: skip
            sprites.add(self._above, self._marks, _TILE)
        self._above.text(
            "x", "y", "text", source=self._words, text_font_size="size", text_color="ink", text_align="center",
            text_baseline="base",
        )  # fmt: skip
        self._caption = add_caption(self._above)
        self._bars = _Shares()
        self._bars.root.visible = False
        self.root = Column(self._above, self._bars.root, sizing_mode="stretch_width", spacing=0, max_width=620)

    def draw(
        self,
        pair: tuple[int, int],
        k: float,
        facts: Facts | None = None,
        *,
        shares: Mapping[str, float] | None = None,
        note: str = "",
    ) -> None:
        """Show a pair.

        Parameters
        ----------
        pair : (int, int)
            Ids of the input of the row and of that of the column.
        k : float
        facts : Facts, optional
        shares : mapping of str to float, optional
            What each parameter, or layer, contributes to k; they may be negative.
        note : str
            Said below.
        """
        known = facts or Facts()
        wrong = [known.is_wrong(one) for one in pair]
        y = 0.62
        tiles = [-1, -1] if self._sprites is None else self._sprites.sprites.places(pair)
        self._marks.data = {
            "x": list(_PLACES),
            "y": [y, y],
            "tile": np.array(tiles, dtype=np.int32),
            "edge": [WRONG if bad else GRID for bad in wrong],
            "width": [2.5 if bad else 1.0 for bad in wrong],
        }
        texts = [(0.5, y, f"k = {k_text(float(k))}", INK, "middle", "15px")]
        for place, one, bad in zip(_PLACES, pair, wrong, strict=True):
            label = known.short(one)
            under = f"input {one}" + (f", label {label}" if label else "")
            texts.append((place, 0.2, under, WRONG if bad else INK, "top", SMALL))
            if self._sprites is None:
                texts.append((place, y, _wrapped(known.words(one)), INK, "middle", SMALL))
        self._words.data = dict(zip(self._words.data, map(list, zip(*texts, strict=True)), strict=True))
        self._bars.draw(shares or {})
        if shares:
            self._bars.root.visible = True  # and stays, so that what is below does not jump from pair to pair
        say(self._caption, "Orange: label \N{RIGHTWARDS ARROW} prediction." if any(wrong) else "", note)

    def clear(self, why: str) -> None:
        """Show no pair, but why there is none."""
        for source in (self._marks, self._words):
            source.data = {name: [] for name in source.data}
        self._bars.draw({})
        say(self._caption, why)


class _Shares:
    """Bars of the shares of one number, the first on top."""

    def __init__(self) -> None:
        self._x, self._y = (Range1d(*ends, reset_start=ends[0], reset_end=ends[1]) for ends in ((0, 1), (1, 0)))
        self.root = make_plot(100, x_range=self._x, y_range=self._y, tools=[], toolbar_location=None)
        self.root.ygrid.visible = False
        self.root.title.text_font_size = "12px"
        self._source = ColumnDataSource({name: [] for name in ("y", "share", "name", "colour")})
        bars = self.root.hbar(
            y="y", right="share", left=0, height=0.7, source=self._source, fill_color="colour", line_color=None
        )
        self.root.add_tools(HoverTool(renderers=[bars], tooltips="<div>@name <b>@share{0.[0000]}</b></div>"))
        self.root.add_layout(Span(location=0, dimension="height", line_color=GRID, line_width=1))
        self.root.xaxis[0].axis_label = "share of k"
        self._caption = add_caption(self.root)

    def draw(self, shares: Mapping[str, float]) -> None:
        rows = _largest({str(name): float(value) for name, value in shares.items()})
        names, values = list(rows), np.array(list(rows.values()), dtype=float)
        y = np.arange(len(names)) + 0.5
        colours = [palettes.OKABE_ITO[5] if value < 0 else palettes.OKABE_ITO[0] for value in values.tolist()]
        self._source.data = {"y": y, "share": values, "name": names, "colour": colours}
        name_ticks(self.root.yaxis[0], y, [_short(name) for name in names])
        fit_range(self._y, 0.0, float(max(1, len(names))), flipped=True)
        low, high = (min(0.0, values.min()), max(0.0, values.max())) if len(values) else (0.0, 1.0)
        fit_range(self._x, float(low), float(high) if high > low else float(low) + 1.0, margin=0.05)
        total = f": sum {number(float(np.sum(list(shares.values()))))}" if shares else ""
        self.root.title.text = f"Share of each parameter in k{total}" if shares else ""
        say(self._caption, "Orange, below 0: takes away from k." if (values < 0).any() else "")
        if names:
            self.root.height = len(names) * _BAR + 85


def pair_picture(
    values: Float[np.ndarray, "n m"],
    pair: tuple[int, int],
    images: Any = None,
    *,
    parts: Mapping[str, Float[np.ndarray, "n m"]] | None = None,
    labels: Any = None,
    predictions: Any = None,
    texts: Any = None,
) -> LayoutDOM:
    """One pair of inputs, for scripts and notebooks.

    Parameters
    ----------
    values : (n, m) float
        ``similarity_matrix(model, inputs).values``.
    pair : (int, int)
        Row and column.
    images : (n, ...) array_like, optional
        As for `SpriteSheet.of`. Without images, `texts` are shown.
    parts : mapping of str to (n, m), optional
        ``similarity_matrix(..., by_parameter=True).parts``.
    labels, predictions, texts : sequences of n, optional

    Returns
    -------
    bokeh.models.Column

    Raises
    ------
    NetgeomError
        Where there is no such pair.

    Examples
    --------
    >>> pair_picture(similarity.values, (3, 14), images, parts=similarity.parts)  # doctest: +SKIP
    """
    values = np.asarray(values)
    row, column = (int(one) for one in pair)
    if values.ndim != 2 or not (0 <= row < values.shape[0] and 0 <= column < values.shape[1]):
        raise NetgeomError("There is no such pair.", expected=f"places in {values.shape}", got=f"{pair}")
    shown = sorted({row, column})
    marks = None if images is None else SpriteMarks(SpriteSheet.of(np.asarray(images)[shown], shown))
    part = PairPart(marks)
    shares = None if parts is None else {name: float(part[row, column]) for name, part in parts.items()}
    part.draw((row, column), float(values[row, column]), Facts.of(shown, labels, predictions, texts), shares=shares)
    return part.root


def _largest(shares: dict[str, float]) -> dict[str, float]:
    """All of a few shares; of many the largest in their order, and the sum of the others."""
    if len(shares) <= _MOST:
        return shares
    kept = set(sorted(shares, key=lambda name: -abs(shares[name]))[: _MOST - 1])
    rest = sum(value for name, value in shares.items() if name not in kept)
    return {name: value for name, value in shares.items() if name in kept} | {f"{len(shares) - len(kept)} others": rest}


def _short(name: str) -> str:
    """A dotted name without its middle: layers are told apart at both ends."""
    half = _NAME // 2
    return literal(name if len(name) <= _NAME else f"{name[: half - 1]}…{name[-half:]}")


def _wrapped(words: str) -> str:
    lines = textwrap.wrap(words, _LETTERS)
    return literal("\n".join([*lines[:3], "…"] if len(lines) > 4 else lines))
