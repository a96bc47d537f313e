"""What rows and columns of a matrix are: names on the axes, in the hover box and in the legend, borders of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from bokeh.models import BasicTicker, ColumnDataSource, CustomJSHover
from bokeh.plotting import figure
from jaxtyping import Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import LEGEND_ENTRIES, KeyLegend, literal, name_ticks
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.similarity_levels import Levels

_HOW = {"seriated": "in seriated order (alike side by side)", "by class": "by class", "as given": "as given"}
_NAME_OF = """
const cell = Math.floor(value)
const {id, kind} = names.data
if (cell < 0 || cell >= id.length) return "outside"
const label = labels.data.name[kind[cell]]
return label === "" ? `${id[cell]}` : `${id[cell]}, label ${label}`
"""


class Run(NamedTuple):
    """A class that fills the places first..last of an order, the last left out."""

    name: str
    first: int
    last: int


class MatrixAxes:
    """Both axes of one plot and its legend of classes.

    Parameters
    ----------
    plot : bokeh.plotting.figure
    """

    def __init__(self, plot: figure) -> None:
        self._axes = (plot.yaxis[0], plot.xaxis[0])
        whole = {"desired_num_ticks": 6, "num_minor_ticks": 0, "min_interval": 1}
        self._places = [BasicTicker(**whole) for _ in range(2)]
        self._names = [ColumnDataSource({"id": [], "kind": []}) for _ in range(2)]
        self._labels = [ColumnDataSource({"name": []}) for _ in range(2)]
        self._legend = KeyLegend(plot, "below", width=380)

    def formatters(self) -> dict[str, CustomJSHover]:
        """What turns $y and $x of a hover box into the names of row and column."""
        pairs = zip(self._names, self._labels, strict=True)
        rows, columns = (CustomJSHover(args={"names": one, "labels": two}, code=_NAME_OF) for one, two in pairs)
        return {"$y": rows, "$x": columns}

    def set(
        self, levels: Levels, labels: Sequence[SampleLabels], ids: Sequence[Any], ordering: str, *, others: bool
    ) -> list[list[Run]]:
        """Name rows and columns; the classes that the order keeps together, of both.

        Parameters
        ----------
        levels : Levels
        labels, ids : of rows and columns, in the matrix as given
        ordering : str
            How the order came about.
        others : bool
            Whether the columns are other inputs than the rows.
        """
        found = []
        nouns = ("input", "other input" if others else "input")
        for at, order in enumerate((levels.rows, levels.columns)):
            known, axis = labels[at], self._axes[at]
            self._send(at, known, order, _numbered(ids[at], known.n))
            runs = class_runs(known, order)
            axis.axis_label = f"{nouns[at]}, {_HOW.get(ordering, literal(ordering))}"
            if runs:
                name_ticks(axis, [(run.first + run.last) / 2 for run in runs], [literal(run.name) for run in runs])
            elif axis.ticker is not self._places[at]:
                axis.update(ticker=self._places[at], major_label_overrides={})
            found.append(runs)
        return found

    def _send(self, at: int, labels: SampleLabels, order: np.ndarray, ids: np.ndarray) -> None:
        """Names for the hover box, unless the browser has them: rows that appear one by one do not change them."""
        names, kinds = np.unique(np.array(labels.names, dtype=object).astype(str), return_inverse=True)
        rows = {"id": _small(ids[order]), "kind": _small(kinds[order])}
        if not all(np.array_equal(self._names[at].data[name], column) for name, column in rows.items()):
            self._names[at].data = rows
        if self._labels[at].data["name"] != names.tolist():
            self._labels[at].data = {"name": names.tolist()}

    def show_classes(self, labels: Sequence[SampleLabels]) -> str:
        """Show a legend of the classes; a remark where there is none."""
        known = labels[0] if labels[0].labels is not None else labels[1]
        entries = [(literal(name), colour, "square") for name, colour, _ in known.legend]
        self._legend.set(entries if len(entries) <= LEGEND_ENTRIES else [])
        if known.labels is None:
            return ""
        if known.scale is not None:
            return "Bands: label, from dark (low) to yellow (high)."
        return f"Bands: {len(entries)} labels, some in like colours." if len(entries) > LEGEND_ENTRIES else ""


def class_runs(labels: SampleLabels, order: Int[np.ndarray, " n"]) -> list[Run]:
    """The classes of an order that keeps each of them together; none for another order, and without labels."""
    if labels.labels is None or labels.scale is not None or not len(order):
        return []
    kinds = labels.kinds[order]
    starts = np.flatnonzero(np.r_[True, kinds[1:] != kinds[:-1]])
    if len(starts) != len(np.unique(kinds)):
        return []
    ends = [*starts[1:].tolist(), len(order)]
    return [Run(labels.names[order[first]], first, last) for first, last in zip(starts.tolist(), ends, strict=True)]


def _small(numbers: np.ndarray) -> np.ndarray:
    """As numbers of 32 bits where they fit: a browser takes those as they are."""
    small = numbers.astype(np.int32)
    return small if np.array_equal(small, numbers) else numbers


def _numbered(ids: Any, n: int) -> np.ndarray:
    known = np.arange(n) if ids is None else np.asarray(ids)
    if known.shape != (n,):
        raise NetgeomError("The ids do not belong to the matrix.", expected=f"{n} ids", got=f"shape {known.shape}")
    return known
