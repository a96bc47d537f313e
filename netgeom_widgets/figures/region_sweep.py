"""Region statistics of many networks or slices: over a width, a depth, an input dimension; their distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LayoutDOM, LogTicker, Range1d
from bokeh.plotting import figure
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import (
    KeyLegend,
    add_caption,
    fit_range,
    literal,
    make_plot,
    name_ticks,
    number,
    say,
    wrapping_row,
)
from netgeom_widgets.figures.stairs import StairsPlot, bin_edges, check_names

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Statistics

#: Key in ``Statistics.summary``, name, units with an orthonormal plane and without.
_MEASURES = (
    ("count", "Regions", ("regions", "regions")),
    ("area_mean", "Mean area of a region", ("input units²", "(s, t) units²")),
    ("eccentricity_mean", "Mean eccentricity", ("longer over shorter axis", "longer over shorter axis")),
)
_MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex")


def sweep(
    x: Sequence[float],
    series: Mapping[str, Sequence[Sequence[Statistics]]],
    *,
    label: str,
    height: int = 240,
) -> LayoutDOM:
    """Region count, mean area and mean eccentricity over a swept number, on logarithmic axes.

    Parameters
    ----------
    x : (X,) positive numbers, increasing
        What was varied, such as the width.
    series : mapping of str to X sequences of Statistics
        For each place the ``partition.statistics()`` of several draws (networks, slices). The line joins their medians,
        the band spans their quartiles.
    label : str
        What x is, for the axis.
    height : int
        Of each plot, in pixels.

    Returns
    -------
    bokeh.models.Row
        Three plots, one under the other where there is no room.

    Raises
    ------
    NetgeomError
        Where x is not positive and increasing, and for a series that does not fit it.

    Examples
    --------
    >>> sweep([8, 16], {"depth 1": [[a.statistics()], [b.statistics()]]}, label="width")  # doctest: +SKIP
    """
    places = np.asarray(x, dtype=np.float64)
    if places.ndim != 1 or not len(places) or not (places > 0).all() or not (np.diff(places) > 0).all():
        raise NetgeomError("x cannot be swept over.", expected="positive numbers, increasing", got=f"{list(x)}")
    check_names(series)
    for name, draws in series.items():
        if len(draws) != len(places) or not all(len(one) for one in draws):
            raise NetgeomError(
                f"The series {name} does not fit x.", expected=f"{len(places)} lists with a draw or more in each"
            )
    metric = all(one.metric for draws in series.values() for at in draws for one in at)
    plots = [
        _plot(places, series, key, title, units[0 if metric else 1], label, height) for key, title, units in _MEASURES
    ]
    return wrapping_row(*plots)


def distributions(series: Mapping[str, Sequence[Statistics]], *, bins: int = 12, height: int = 220) -> LayoutDOM:
    """Histograms over partitions: of their region counts, mean areas and mean eccentricities.

    Where `netgeom_widgets.figures.region_statistics.histograms` counts regions, this counts partitions.

    Parameters
    ----------
    series : mapping of str to sequence of Statistics
        For each network the ``partition.statistics()`` of many slices.
    bins : int
        How many, common to all series.
    height : int
        Of each plot, in pixels.

    Returns
    -------
    bokeh.models.Row
        Three plots, one under the other where there is no room.

    Raises
    ------
    NetgeomError
        For no series or more than 12, and for one without statistics.

    Examples
    --------
    >>> distributions({"CNN": [partition(cnn, s).statistics() for s in slices]}, bins=8)  # doctest: +SKIP
    """
    check_names(series)
    for name, many in series.items():
        if not len(many):
            raise NetgeomError(f"The series {name} is empty.", expected="the statistics of a partition or more")
    metric = all(one.metric for many in series.values() for one in many)
    plots = []
    for key, title, units in _MEASURES:
        values = {name: np.array([one.summary[key] for one in many]) for name, many in series.items()}
        edges = bin_edges(np.concatenate(list(values.values())), log=True, bins=bins)
        plot = StairsPlot(height, log=True, what=title)
        plot.draw(
            edges,
            {name: np.histogram(column, edges)[0].astype(np.float64) for name, column in values.items()},
            title=title,
            labels=(f"{units[0 if metric else 1]} (log scale)", "slices"),
            noun="slices",
            caption=[f"{name}: {len(one)} slices, median {number(np.median(one))}." for name, one in values.items()],
        )
        plots.append(plot.root)
    return wrapping_row(*plots)


def _plot(
    places: Float[np.ndarray, " X"], series: Mapping[str, Any], key: str, title: str, unit: str, label: str, height: int
) -> figure:
    ends = Range1d(1, 2, reset_start=1, reset_end=2), Range1d(1, 2, reset_start=1, reset_end=2)
    plot = make_plot(
        height, x_range=ends[0], y_range=ends[1], x_axis_type="log", y_axis_type="log", min_width=230,
        title=title, toolbar_sticky=False,
    )  # fmt: skip
    plot.xaxis[0].axis_label, plot.yaxis[0].axis_label = literal(label), f"{unit} (log scale)"
    plot.yaxis[0].ticker = plot.ygrid[0].ticker = LogTicker(num_minor_ticks=0, desired_num_ticks=5)
    name_ticks(plot.xaxis[0], places, [f"{place:g}" for place in places])
    plot.xgrid[0].ticker = plot.xaxis[0].ticker
    colours, dots = palettes.categorical(len(series)), []
    quartiles = {name: np.array([_quartiles(at, key) for at in draws]).T for name, draws in series.items()}
    for at, (name, (low, middle, high)) in enumerate(quartiles.items()):
        columns = {"x": places, "low": low, "y": middle, "high": high, "name": [literal(name)] * len(places)}
        source = ColumnDataSource(columns)
        plot.varea("x", "low", "high", source=source, fill_color=colours[at], fill_alpha=0.2)
        plot.line("x", "y", source=source, line_color=colours[at], line_width=2)
        marker = _MARKERS[at % len(_MARKERS)]
        dots.append(plot.scatter("x", "y", source=source, size=7, marker=marker, color=colours[at]))
    tips = "<div>@name, at @x: <b>@y{%.4g}</b></div><div>quartiles @low{%.4g} and @high{%.4g}</div>"
    formats = dict.fromkeys(("@y", "@low", "@high"), "printf")
    plot.add_tools(HoverTool(renderers=dots, tooltips=tips, formatters=formats))
    if len(series) > 1:
        signs = [(literal(name), colours[at], _MARKERS[at % len(_MARKERS)]) for at, name in enumerate(series)]
        KeyLegend(plot, "above").set(signs)
    fit_range(ends[0], places[0] / 1.15, places[-1] * 1.15)
    every = np.concatenate([part.ravel() for part in quartiles.values()])
    fit_range(ends[1], every.min() / 1.2, every.max() * 1.2)
    draws = {len(at) for one in series.values() for at in one}
    say(add_caption(plot), f"Median and quartiles of {'/'.join(map(str, sorted(draws)))} draws.", width=40)
    return plot


def _quartiles(draws: Sequence[Statistics], key: str) -> Float[np.ndarray, " 3"]:
    return np.quantile([one.summary[key] for one in draws], [0.25, 0.5, 0.75])
