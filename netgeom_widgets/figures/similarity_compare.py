"""Two matrices of the same inputs, the matrices of a training run, or two kinds of pairs: how far they agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bokeh.models import LayoutDOM
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import add_caption, limits, literal, number, say
from netgeom_widgets.figures.similarity_histogram import similarity_edges
from netgeom_widgets.figures.similarity_matrix import MatrixPart
from netgeom_widgets.figures.stairs import StairsPlot, whole_bins
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.transition_curves import Curve, LinesPlot
from netgeom_widgets.figures.transition_plot import StepAxis, StepLine, name_snapshots, step_names

#: Bins of two histograms over each other.
_BINS = 40


class ChangesFigure:
    """How many of its nearest each input exchanged between two matrices; ``root`` is the plot."""

    def __init__(self, height: int = 240) -> None:
        self._plot = StairsPlot(height, whole=True, what="exchanged", letters=64)
        self.root = self._plot.root
        self.root.max_width = 620

    def draw(
        self,
        changed: Int[np.ndarray, " n"],
        k: int,
        *,
        cka: float,
        debiased: float,
        spearman: Float[np.ndarray, " n"] | None = None,
    ) -> None:
        """Show a histogram, and the numbers of the agreement in words.

        Parameters
        ----------
        changed : (n,) int
            Of the k nearest of each input, how many are others in the second matrix: as many are gained as lost.
        k : int
        cka, debiased : float
            Of both matrices; NaN where it is not defined.
        spearman : (n,) float, optional
            Rank correlation of each row.
        """
        counts = np.asarray(changed)
        edges = np.arange(k + 2) - 0.5
        said = [agreement_words(cka, debiased, spearman)]
        if len(counts):
            kept = f"{number(100 * (1 - float(counts.mean()) / max(1, k)))} % of the nearest stay on average."
            said.append(f"{int((counts == 0).sum()):,} of {len(counts):,} inputs keep all {k} nearest; {kept}")
        self._plot.draw(
            edges, {"inputs": np.histogram(counts, edges)[0].astype(float)},
            title=f"Neighbours gained and lost, of the {k} nearest", noun="inputs",
            labels=(f"of the {k} nearest, exchanged for others", "inputs"), caption=said, ranges=whole_bins(edges),
        )  # fmt: skip


def agreement_words(cka: float, debiased: float, spearman: Float[np.ndarray, " n"] | None = None) -> str:
    """CKA, biased and debiased, and the median rank correlation of rows, in a sentence."""
    words = [f"CKA {_known(cka)} (debiased {_known(debiased)})"]
    if spearman is not None:
        rows = np.asarray(spearman, dtype=float)
        rows = rows[np.isfinite(rows)]
        words.append(f"Spearman of rows {_known(float(np.median(rows)) if len(rows) else np.nan)} (median)")
    return ", ".join(words) + "."


class StepsFigure:
    """CKA of the matrix of each step with that of one of them; ``root`` is the plot."""

    def __init__(self, height: int = 230) -> None:
        self._axis = StepAxis()
        self._lines = LinesPlot(height, "step", x_range=self._axis.range, tools=["xpan", "xwheel_zoom", "reset"])
        self.root = self._lines.root
        self._now = StepLine(self.root)
        self._caption = add_caption(self.root)

    def draw(
        self,
        steps: Sequence[int],
        biased: Float[np.ndarray, " T"],
        debiased: Float[np.ndarray, " T"],
        *,
        reference: int,
        current: int | None = None,
    ) -> None:
        """Show both curves over the steps; NaN is a gap: not computed yet, or not defined.

        Parameters
        ----------
        steps : (T,) int
        biased, debiased : (T,) float
        reference : int
            The step that the others are compared with.
        current : int, optional
            A step to mark.
        """
        known, names = np.asarray(steps), step_names(steps)
        self._axis.set(known, of_transitions=False)
        name_snapshots(self.root, names)
        columns = {"CKA": np.asarray(biased, dtype=float), "debiased": np.asarray(debiased, dtype=float)}
        for name, values in columns.items():
            if values.shape != known.shape:
                raise NetgeomError(f"{name} does not fit the steps.", expected=f"{known.shape}", got=f"{values.shape}")
        self._lines.set([Curve(name, np.arange(len(known)), values, names) for name, values in columns.items()])
        low = min(0.0, limits(*columns.values())[0])
        self.root.y_range.update(start=low - 0.04, end=1.04)
        self.root.yaxis[0].axis_label = "CKA"
        self.root.title.text = f"Agreement of each step with step {int(reference):,}"
        self._now.move(self._axis.place(current), f"{int(current or 0):,}")
        missing = int(np.isnan(columns["CKA"]).sum())
        left = f"Not computed yet: {missing:,} of {len(known):,} steps." if missing else ""
        say(self._caption, "1: the same matrix up to a shift and a scale.", left)

    def on_step(self, act: Callable[[int], None]) -> None:
        """Call with the nearest step when the user taps the curves."""
        on_tap(self.root, lambda event: self._axis.nearest_step(event.x), act)


class InvarianceFigure:
    """Similarity of inputs with their changed copies, beside that with other inputs; ``root`` is the plot."""

    def __init__(self, height: int = 240) -> None:
        self._plot = StairsPlot(height, what="k", letters=64)
        self.root = self._plot.root
        self.root.max_width = 620

    def draw(self, transformed: Float[np.ndarray, " n"], random: Float[np.ndarray, " m"], *, name: str = "T") -> None:
        """Show both, each in percent of its pairs.

        Parameters
        ----------
        transformed : (n,) float
            k(x, Tx).
        random : (m,) float
            k(x, x′) with another input x′ drawn at random.
        name : str
            What the change is called.
        """
        called = f"with its changed copy, k(x, {literal(name)} x)"
        given = {called: transformed, "with another input at random, k(x, x′)": random}
        columns = {key: np.asarray(values, dtype=float) for key, values in given.items()}
        columns = {key: values[np.isfinite(values)] for key, values in columns.items()}
        edges = similarity_edges(np.concatenate(list(columns.values())), bins=_BINS)
        heights = {
            key: 100 * np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / max(1, len(values))
            for key, values in columns.items()
        }
        medians = [
            f"{key}: median {number(float(np.median(values)))}." for key, values in columns.items() if len(values)
        ]
        self._plot.draw(
            edges, heights, title="Similarity of an input with its changed copy", labels=("similarity k", "% of pairs"),
            noun="% of pairs", caption=[*medians, "A network that ignores the change has k = 1 throughout."],
        )  # fmt: skip


def _known(value: float) -> str:
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else "not defined"


def difference_picture(
    first: Float[np.ndarray, "n m"],
    second: Float[np.ndarray, "n m"],
    *,
    names: tuple[str, str] = ("first", "second"),
    agreement: str = "",
    **options: Any,
) -> LayoutDOM:
    """The second matrix minus the first, for scripts and notebooks.

    Parameters
    ----------
    first, second : (n, m) float
        Similarities of the same inputs.
    names : (str, str)
        What the two are of.
    agreement : str
        Said under the title: ``agreement_words(cka(first, second), cka(first, second, debiased=True))``.
    **options
        As for `MatrixPart.draw`: an ``order`` common to both, ``labels``.

    Returns
    -------
    bokeh.models.Plot

    Raises
    ------
    NetgeomError
        Where the two have different shapes.

    Examples
    --------
    >>> difference_picture(before.values, after.values, names=("step 0", "step 900"), order=order)  # doctest: +SKIP
    """
    a, b = np.asarray(first), np.asarray(second)
    if a.shape != b.shape or a.ndim != 2:
        raise NetgeomError(
            "There is no difference of these.", expected="two (n, m) matrices", got=f"{a.shape}, {b.shape}"
        )
    part = MatrixPart()
    title = f"{names[1]} minus {names[0]}" + (f"\n{agreement}" if agreement else "")
    part.draw(b - a, **{"kernel": "difference", "title": title, "others": a.shape[0] != a.shape[1], **options})
    return part.root


def invariance_picture(
    transformed: Float[np.ndarray, " n"], random: Float[np.ndarray, " m"], *, name: str = "T"
) -> LayoutDOM:
    """Similarity of inputs with their changed copies and with others, for notebooks; see `InvarianceFigure.draw`."""
    part = InvarianceFigure()
    part.draw(transformed, random, name=name)
    return part.root


def changes_picture(
    changed: Int[np.ndarray, " n"],
    k: int,
    *,
    cka: float,
    debiased: float,
    spearman: Float[np.ndarray, " n"] | None = None,
) -> LayoutDOM:
    """How many of its k nearest each input exchanged, for notebooks; see `ChangesFigure.draw`.

    Examples
    --------
    >>> changes_picture(neighbour_changes(a, b, 10).n_changed, 10, cka=cka(a, b), debiased=0.9)  # doctest: +SKIP
    """
    part = ChangesFigure()
    part.draw(changed, k, cka=cka, debiased=debiased, spearman=spearman)
    return part.root


def cka_curve(
    steps: Sequence[int], biased: Float[np.ndarray, " T"], debiased: Float[np.ndarray, " T"], *, reference: int
) -> LayoutDOM:
    """Agreement of the matrices of a training run with one of them, for notebooks; see `StepsFigure.draw`."""
    part = StepsFigure()
    part.draw(steps, biased, debiased, reference=reference)
    return part.root
