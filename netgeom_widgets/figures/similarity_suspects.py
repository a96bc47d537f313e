"""Inputs whose neighbours have another label, and how well a score finds wrong labels where these are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LayoutDOM, Legend, LegendItem, Range1d, Slope
from jaxtyping import Bool, Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import SMALL, add_caption, literal, make_plot, say
from netgeom_widgets.figures.similarity_ranking import Facts, k_text
from netgeom_widgets.figures.similarity_rows import Line, RowsPlot
from netgeom_widgets.figures.similarity_thumbnails import Cell, ThumbnailPlot
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.sprites import SpriteSheet
from netgeom_widgets.figures.stairs import check_names
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.theme import GRID

#: Thumbnails in a row, and suspects at most.
_PER_ROW, _SUSPECTS = 10, 30
_LINE = 20  # pixels of a line of the legend
#: Dashes of the curves, in turn: none is told by its colour alone.
_DASHES: tuple[list[int], ...] = ([], [6, 3], [2, 2], [9, 3, 2, 3])


class SuspectsFigure:
    """Inputs whose neighbours have another label, the most suspicious first; ``root`` is the plot.

    Parameters
    ----------
    sprites : SpriteSheet, optional
        Thumbnails; without, there are rows of text.
    texts : sequence of str, optional
        Words for each input, by its id.
    """

    def __init__(self, sprites: SpriteSheet | None = None, texts: Any = None) -> None:
        self._texts = texts
        self._plot: Any = (
            RowsPlot() if sprites is None else ThumbnailPlot(SpriteMarks(sprites), "score", "neighbours say")
        )
        self.root = self._plot.root
        self.root.title.text = "Labels that neighbours disagree with"

    def draw(
        self,
        order: Int[np.ndarray, " n"],
        scores: Float[np.ndarray, " n"],
        labels: Sequence[Any],
        said: Sequence[Any],
    ) -> None:
        """Show the first of a ranking.

        Parameters
        ----------
        order : (n,) int
            Ids, the most suspicious first.
        scores : (n,) float
            By id: the share of its neighbours with another label.
        labels : sequence of n
            The label given to each, by id.
        said : sequence of n
            The label that its neighbours have, by id; empty where it has none.
        """
        shown = [one for one in np.asarray(order).tolist() if scores[one] > 0][:_SUSPECTS]
        facts = Facts.of(shown, labels, said, self._texts)
        marked = [(at, one, k_text(float(scores[one]), 2), facts.short(one)) for at, one in enumerate(shown)]
        if isinstance(self._plot, ThumbnailPlot):
            cells = [
                Cell(float(at % _PER_ROW), at // _PER_ROW, one, score, short, facts.is_wrong(one))
                for at, one, score, short in marked
            ]
            self._plot.draw(cells, facts, float(_PER_ROW))
        else:
            lines = [Line(f"{at + 1}.", one, score, short, facts.is_wrong(one)) for at, one, score, short in marked]
            self._plot.draw(lines, facts, ("score", "label"))
        positive = int((np.nan_to_num(scores) > 0).sum())
        say(
            self._plot.caption,
            f"{positive:,} inputs have a neighbour with another label."
            + (f" The first {len(shown)}: score, then" if positive > len(shown) else " Score, then" if shown else ""),
            "given label \N{RIGHTWARDS ARROW} label of most neighbours, orange where they differ." if shown else "",
            "A high score is no proof.",
        )

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of an input that the user taps."""
        on_tap(self.root, self._plot.sample_at, act)


def suspects_picture(
    scores: Float[np.ndarray, " n"],
    labels: Sequence[Any],
    said: Sequence[Any],
    images: Any = None,
    texts: Sequence[str] | None = None,
) -> LayoutDOM:
    """The most suspicious labels, for scripts and notebooks.

    Parameters
    ----------
    scores : (n,) float
        ``label_noise_scores(values, labels)``: the larger, the more suspicious.
    labels : sequence of n
        As given.
    said : sequence of n
        What the neighbours say: ``neighbour_labels(values, labels)``.
    images : (n, ...) array_like, optional
        As for `SpriteSheet.of`; without, `texts` are shown.
    texts : sequence of n str, optional

    Returns
    -------
    bokeh.models.Plot

    Raises
    ------
    NetgeomError
        Where there are not n of each.
    """
    column = np.asarray(scores, dtype=float)
    for name, given in (("labels", labels), ("said", said), ("images", images), ("texts", texts)):
        if given is not None and len(given) != len(column):
            raise NetgeomError(
                f"{name} and scores do not belong together.", expected=f"{len(column)}", got=f"{len(given)}"
            )
    order = np.argsort(-np.nan_to_num(column, nan=-1.0), kind="stable")
    shown = order[:_SUSPECTS]
    part = SuspectsFigure(None if images is None else SpriteSheet.of(np.asarray(images)[shown], shown), texts)
    part.draw(order, column, labels, said)
    return part.root


def detection_curves(
    scores: Mapping[str, Float[np.ndarray, " n"]], flipped: Bool[np.ndarray, " n"], *, height: int = 300
) -> LayoutDOM:
    """How well scores find labels that are known to be wrong: receiver operating characteristics.

    Parameters
    ----------
    scores : mapping of str to (n,) float
        By name; the larger, the more suspicious. NaN counts as the least.
    flipped : (n,) bool
        Which labels are wrong.
    height : int
        In pixels, without the legend.

    Returns
    -------
    bokeh.models.Plot
        Share of the wrong labels found against share of the right ones suspected; the area under each curve (1/2 for
        chance, equal scores counted half) is in its name.

    Raises
    ------
    NetgeomError
        For no scores or more than 12, where the truth does not fit them, or where all labels are right, or all wrong.
    """
    check_names(scores)
    truth = np.asarray(flipped, dtype=bool)
    if truth.ndim != 1 or truth.all() or not truth.any():
        raise NetgeomError(
            "There is nothing to find.",
            expected="(n,) bool with right and wrong labels",
            got=f"{truth.sum()} wrong of {truth.shape}",
        )
    ends = [Range1d(-0.02, 1.02, reset_start=-0.02, reset_end=1.02) for _ in range(2)]
    plot = make_plot(
        height + _LINE * (1 + len(scores)),
        x_range=ends[0],
        y_range=ends[1],
        title="Finding the labels that are wrong",
        max_width=460,
    )
    plot.add_layout(Slope(gradient=1, y_intercept=0, line_color=GRID, line_dash="dashed", line_width=1.5))
    items, lines = [], []
    for at, (name, values) in enumerate(scores.items()):
        column = np.asarray(values, dtype=float)
        if column.shape != truth.shape:
            raise NetgeomError(f"The scores {name} do not fit.", expected=f"{truth.shape}", got=f"{column.shape}")
        x, y = detection_curve(column, truth)
        called = f"{literal(name)}: {k_text(area_under(x, y))}"
        source = ColumnDataSource({"x": x, "y": y, "name": [called] * len(x)})
        look = {"line_color": palettes.categorical(len(scores))[at], "line_dash": _DASHES[at % len(_DASHES)]}
        lines.append(plot.line("x", "y", source=source, line_width=2.5, **look))
        items.append(LegendItem(label={"value": called}, renderers=[lines[-1]]))
    legend = Legend(
        items=items, title="area under the curve", title_text_font_size=SMALL, label_text_font_size=SMALL, padding=2,
        border_line_alpha=0, background_fill_alpha=0, location="left", ncols=1, glyph_height=14, label_height=14,
    )  # fmt: skip
    plot.add_layout(legend, "below")
    tips = "<div>@name</div><div>found <b>@y{0.0 %}</b> at <b>@x{0.0 %}</b> of the right ones</div>"
    plot.add_tools(HoverTool(renderers=lines, tooltips=tips))
    plot.xaxis[0].axis_label = "share of the right labels that are suspected"
    plot.yaxis[0].axis_label = "share of the wrong labels that are found"
    say(add_caption(plot), f"{int(truth.sum()):,} of {len(truth):,} labels are wrong. Dashed: by chance.", width=60)
    return plot


def detection_curve(scores: Float[np.ndarray, " n"], flipped: Bool[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray]:
    """Shares of right and of wrong labels with a score of at least each value, from none to all."""
    column = np.nan_to_num(np.asarray(scores, dtype=float), nan=-np.inf)
    order = np.argsort(-column, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(column[order]) != 0, True])  # equal scores are suspected together
    wrong = np.cumsum(flipped[order])[last]
    right = last + 1 - wrong
    return np.r_[0.0, right / right[-1]], np.r_[0.0, wrong / wrong[-1]]


def area_under(x: Float[np.ndarray, " k"], y: Float[np.ndarray, " k"]) -> float:
    """Area under a curve, by trapezoids."""
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
