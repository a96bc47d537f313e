"""Shape and steepness of regions in pictures: histograms, of one partition or of several, and counts per layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import Column, LayoutDOM
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import wrapping_row
from netgeom_widgets.figures.region_quantities import QUANTITIES, Quantity, in_words, summary
from netgeom_widgets.figures.region_text import count
from netgeom_widgets.figures.stairs import StairsPlot, bin_edges, check_names, whole_bins

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Statistics

    #: What is drawn as one distribution: the regions of a partition, or those of several together.
    Regions = Statistics | Sequence[Statistics]

_PER_ROW = 3
#: More layers than this do not get a tick each.
_TICKS = 12


class Histogram:
    """The histogram of one quantity; ``root`` is its plot.

    Parameters
    ----------
    quantity : Quantity
    height : int
        In pixels.
    """

    def __init__(self, quantity: Quantity, height: int = 220) -> None:
        self.quantity = quantity
        self._plot = StairsPlot(height, log=quantity.log, whole=quantity.whole, what=quantity.name)
        self.root = self._plot.root

    def draw(
        self, values: Mapping[str, Float[np.ndarray, " R"]], *, metric: bool = True, bins: int | None = None
    ) -> None:
        """Show how the values of each series are distributed, over common bins.

        Parameters
        ----------
        values : mapping of str to (R,) float
            One series: its numbers of regions. Several: percent of the regions of each, so that partitions of different
            size compare.
        metric : bool
            Whether lengths are in input units.
        bins : int, optional
            How many; by default about the root of the number of values, 8 to 40. Whole numbers have a bin each.
        """
        quantity = self.quantity
        usable = {name: _usable(column, log=quantity.log) for name, column in values.items()}
        edges = bin_edges(np.concatenate(list(usable.values())), log=quantity.log, whole=quantity.whole, bins=bins)
        several = len(values) > 1
        heights = {name: _heights(column, edges) for name, column in usable.items()}
        if several:
            heights = {name: 100 * tops / max(1, len(values[name])) for name, tops in heights.items()}
        noun = "% of the regions" if several else "regions"
        label = quantity.label(metric=metric)
        self._plot.draw(
            edges,
            heights,
            title=quantity.name[0].upper() + quantity.name[1:],
            labels=(f"{label} (log scale)" if quantity.log else label, noun),
            noun=noun,
            caption=[
                *_captions({name: summary(column, quantity) for name, column in values.items()}),
                quantity.definition,
            ],
            ranges=whole_bins(edges) if quantity.whole else None,
        )

    def mark(self, value: float | None) -> None:
        """Mark the value of the picked region, or none."""
        if value is None:
            self._plot.mark(None)
        else:
            self._plot.mark(value, f", picked {in_words(value)}")


class LayerCounts:
    """How many regions there are after each activation layer; ``root`` is its plot."""

    def __init__(self, height: int = 220) -> None:
        self._plot = StairsPlot(height, what="after")
        self.root = self._plot.root

    def draw(self, counts: Mapping[str, Sequence[int]], ops: Sequence[str] | None = None) -> None:
        """Show counts, one series or several.

        Parameters
        ----------
        counts : mapping of str to sequence of int
            As ``Partition.region_counts`` has them. Networks may differ in depth.
        ops : sequence of str, optional
            Names of the layers, for the hover box.
        """
        check_names(counts)
        depth = max(map(len, counts.values()))
        heights = {name: np.r_[row, np.full(depth - len(row), np.nan)] for name, row in counts.items()}
        every = max(1, math.ceil(depth / _TICKS))
        self._plot.draw(
            np.arange(depth + 1) + 0.5 if depth else np.empty(0),
            heights,
            title="Regions after each layer",
            labels=("activation layer", "regions"),
            noun="regions",
            caption=_captions(
                {name: f"{count(int(row[-1]) if len(row) else 1, 'region')} in the end" for name, row in counts.items()}
            ),
            ranges=[f"layer {at + 1}" + (f" ({ops[at]})" if ops is not None else "") for at in range(depth)],
            ticks=[str(at + 1) if at % every == 0 else "" for at in range(depth)],
        )


class StatisticsFigure:
    """All histograms and the counts per layer in one Bokeh root.

    Parameters
    ----------
    quantities : sequence of Quantity
    with_layers : bool
        Whether the counts per layer are there.
    height : int
        Of each plot, in pixels.
    """

    def __init__(
        self, quantities: Sequence[Quantity] = QUANTITIES, *, with_layers: bool = True, height: int = 220
    ) -> None:
        self.histograms = [Histogram(quantity, height) for quantity in quantities]
        self.layers = LayerCounts(height) if with_layers else None
        plots = [part.root for part in (*self.histograms, *([self.layers] if self.layers else []))]
        rows = [wrapping_row(*plots[at : at + _PER_ROW]) for at in range(0, len(plots), _PER_ROW)]
        self.root = Column(*rows, sizing_mode="stretch_width", spacing=4)

    def draw(self, statistics: Regions | Mapping[str, Regions], *, bins: int | None = None) -> None:
        """Show statistics; see `histograms`."""
        series = _series(statistics)
        metric = _common_metric(series)
        for part in self.histograms:
            key = part.quantity.key
            columns = {name: np.concatenate([getattr(one, key) for one in many]) for name, many in series.items()}
            part.draw(columns, metric=metric, bins=bins)

    def draw_layers(self, counts: Mapping[str, Sequence[int]], ops: Sequence[str] | None = None) -> None:
        """Show counts per layer; see `layer_counts`."""
        if self.layers is not None:
            self.layers.draw(counts, ops)

    def mark(self, region: int | None, statistics: Statistics | None = None) -> None:
        """Mark where a region stands in each histogram."""
        for part in self.histograms:
            there = region is not None and statistics is not None
            part.mark(float(getattr(statistics, part.quantity.key)[region]) if there else None)


def histograms(
    statistics: Regions | Mapping[str, Regions],
    *,
    quantities: Iterable[str] | None = None,
    bins: int | None = None,
    height: int = 220,
) -> LayoutDOM:
    """Histograms of the regions' area, slope norm, sides and eccentricities, for scripts and notebooks.

    Parameters
    ----------
    statistics : Statistics, sequence or mapping
        ``partition.statistics()``; a sequence of them is drawn as one distribution (the regions of many slices); a
        mapping of names to either draws these over each other, each in percent of its own regions.
    quantities : iterable of str, optional
        Which of "area", "slope_norm", "sides", "eccentricity", "vertex_eccentricity"; all by default.
    bins : int, optional
        How many; by default about the root of the number of regions, 8 to 40.
    height : int
        Of each plot, in pixels.

    Returns
    -------
    bokeh.models.Column
        To be shown with ``bokeh.io.show``, saved by `netgeom_widgets.figures.static.save` or turned into a page by
        `netgeom_widgets.figures.html.to_html`. Three plots in a row; the caption of each has number and mean.

    Raises
    ------
    NetgeomError
        For no statistics or more than 12 series, unknown quantities, and slices in different units.

    Examples
    --------
    >>> histograms({"CNN": cnn.statistics(), "MLP": mlp.statistics()}, quantities=["area"])  # doctest: +SKIP
    """
    known = {quantity.key: quantity for quantity in QUANTITIES}
    wanted = list(known) if quantities is None else list(quantities)
    unknown = [str(name) for name in wanted if name not in known]
    if unknown or not wanted:
        raise NetgeomError("There is no such quantity.", expected=", ".join(known), got=", ".join(unknown) or "none")
    found = StatisticsFigure([known[name] for name in wanted], with_layers=False, height=height)
    found.draw(statistics, bins=bins)
    return found.root


def layer_counts(
    counts: Sequence[int] | Mapping[str, Sequence[int]], ops: Sequence[str] | None = None, *, height: int = 220
) -> LayoutDOM:
    """How many regions there are after each activation layer, for scripts and notebooks.

    Parameters
    ----------
    counts : sequence of int, or mapping of str to these
        ``partition.region_counts``; several networks by name.
    ops : sequence of str, optional
        ``partition.ops``, for the hover box.
    height : int
        In pixels.

    Returns
    -------
    bokeh.models.Plot

    Examples
    --------
    >>> layer_counts(partition.region_counts, partition.ops)  # doctest: +SKIP
    """
    found = LayerCounts(height)
    found.draw(counts if isinstance(counts, Mapping) else {"regions": counts}, ops)
    return found.root


def _usable(values: Any, *, log: bool) -> np.ndarray:
    column = np.asarray(values, dtype=np.float64)
    return column[np.isfinite(column) & ((column > 0) | (not log))]


def _heights(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.histogram(values, edges)[0].astype(np.float64) if len(edges) else np.empty(0)


def _captions(said: Mapping[str, str]) -> list[str]:
    """A sentence for each series, with its name where there are several."""
    return [f"{f'{name}: ' if len(said) > 1 else ''}{words}." for name, words in said.items()]


def _series(statistics: Any) -> dict[str, list[Statistics]]:
    """Statistics to pool, by series."""
    given = statistics if isinstance(statistics, Mapping) else {"regions": statistics}
    series = {name: [found] if hasattr(found, "slope_norm") else list(found) for name, found in given.items()}
    for name, many in series.items():
        bad = [type(one).__name__ for one in many if not hasattr(one, "slope_norm")]
        if bad or not many:
            raise NetgeomError(
                f"{name}: these are no statistics of regions.", expected="partition.statistics(), or a list of these",
                got=bad[0] if bad else "an empty list",
            )  # fmt: skip
    check_names(series)
    return series


def _common_metric(series: Mapping[str, Sequence[Statistics]]) -> bool:
    found = {one.metric for many in series.values() for one in many}
    if len(found) > 1:
        raise NetgeomError(
            "These regions are measured in different units.",
            expected="slices that all have orthonormal u and v, or all not", got="both kinds",
        )  # fmt: skip
    return found.pop()
