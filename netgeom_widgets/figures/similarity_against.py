"""Neighbour counts against something else: against a number per input, and over a sweep such as a frequency."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import Column, ColumnDataSource, HoverTool, LayoutDOM, LogTicker, Range1d
from bokeh.plotting import figure
from jaxtyping import Bool, Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import (
    LEGEND_ENTRIES,
    KeyLegend,
    add_caption,
    fit_range,
    limits,
    literal,
    make_plot,
    name_ticks,
    number,
    say,
    wrapping_row,
)
from netgeom_widgets.figures.sample_labels import MARKERS, SampleLabels, class_colour
from netgeom_widgets.figures.stairs import check_names

#: More points than this are drawn smaller.
_CROWD = 600
#: Pixels of an upright axis with its label: the plots of a sweep share their horizontal axis.
_LEFT = 70
#: Decades up to which a logarithmic axis gets ticks at 1, 2 and 5.
_DECADES = 3
_LINE = 15  # pixels of a caption's line
_ROOM = 0.1  # of the interval of the data, left free on either side


def counts_against(
    x: Float[np.ndarray, " n"],
    counts: Mapping[str, Float[np.ndarray, "*runs n"]],
    *,
    label: str,
    groups: Sequence[Any] | None = None,
    lines: bool = False,
    x_log: bool = False,
    title: str = "",
    height: int = 260,
) -> LayoutDOM:
    """Neighbour counts of inputs against a number of each: a curvature, a training loss, a place.

    Parameters
    ----------
    x : (n,) float
    counts : mapping of str to (n,) or (runs, n) float
        By name; of several runs, the median over the runs is shown.
    label : str
        What x is, with its unit.
    groups : sequence of n, optional
        A colour and a shape for each, such as the frequency that a network was trained for.
    lines : bool
        Join the points of each group in the order of x.
    x_log : bool
        A logarithmic axis of x; what is not positive is left out then, and counted in words.
    title : str
        Said before the name of each count.
    height : int
        Of each plot, in pixels.

    Returns
    -------
    bokeh.models.Row
        A plot for each count, one under the other where there is no room.

    Raises
    ------
    NetgeomError
        Where x, counts and groups do not belong together.

    Examples
    --------
    >>> counts_against(curvature, {"soft": soft}, label="curvature", x_log=True)  # doctest: +SKIP
    """
    check_names(counts)
    places = np.asarray(x, dtype=float)
    labels = SampleLabels(None if groups is None else np.asarray(groups), len(places))
    if places.ndim != 1 or len(labels.names) != len(places):
        raise NetgeomError("x and groups do not belong together.", expected="(n,) and n groups", got=f"{places.shape}")
    plots = []
    for name, values in counts.items():
        column = np.asarray(values, dtype=float)
        if column.ndim not in (1, 2) or column.shape[-1] != len(places):
            raise NetgeomError(
                f"The counts {name} do not belong to x.", expected=f"({len(places)},) or (runs, {len(places)})",
                got=f"{column.shape}",
            )  # fmt: skip
        plot = _scatter(places, column, labels, lines=lines, x_log=x_log, height=height)
        plot.title.text = literal(f"{title}, {name}" if title else f"Neighbours, {name}")
        plot.xaxis[0].axis_label = literal(label) + " (log scale)" * x_log
        plot.yaxis[0].axis_label = literal(f"neighbours ({name})")
        plots.append(plot)
    return wrapping_row(*plots)


def _scatter(
    x: np.ndarray, counts: np.ndarray, labels: SampleLabels, *, lines: bool, x_log: bool, height: int
) -> figure:
    y = np.median(counts, axis=0) if counts.ndim == 2 else counts
    kept = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not x_log))
    plot = _plot(height, (x_log, False), (x[kept], y[kept]), min_width=260)
    kinds, size = labels.kinds, 6 if kept.sum() <= _CROWD else 3
    for kind in np.unique(kinds[kept]).tolist():
        rows = np.flatnonzero(kept & (kinds == kind))
        rows = rows[np.argsort(x[rows], kind="stable")]
        source = ColumnDataSource({"x": x[rows], "y": y[rows], "group": [labels.names[row] for row in rows.tolist()]})
        colour = class_colour(kind) if labels.labels is not None else palettes.OKABE_ITO[0]
        if lines:
            plot.line("x", "y", source=source, line_color=colour, line_width=2)
        else:
            marker = MARKERS[kind % len(MARKERS)]
            plot.scatter(
                "x", "y", source=source, marker=marker, size=size, fill_color=colour, line_color=None, fill_alpha=0.7
            )
    entries = [(name.removeprefix("label "), colour, marker) for name, colour, marker in labels.legend]
    KeyLegend(plot, "above", width=240).set(entries if len(entries) <= LEGEND_ENTRIES else [])
    facts = "<div>@group</div>" if labels.labels is not None else ""
    plot.add_tools(HoverTool(tooltips=facts + "<div>@x{0.[0000]}, neighbours <b>@y{0,0.[00]}</b></div>"))
    many = f"Median over {len(counts)} runs." if counts.ndim == 2 else ""
    gone = int(len(x) - kept.sum())
    left_out = f"Left out: {gone:,} of {len(x):,}, which the axes lack." if gone else ""
    say(add_caption(plot), many, "An input counts itself.", left_out, width=44)
    return plot


def counts_over_sweep(
    settings: Sequence[float],
    counts: Mapping[str, Float[np.ndarray, "S runs"]],
    fit_error: Float[np.ndarray, "S runs"],
    *,
    label: str,
    converged: Bool[np.ndarray, "S runs"] | None = None,
    error_label: str = "fit error",
    log: bool = True,
    title: str = "Mean neighbours of an input",
    height: int = 280,
) -> LayoutDOM:
    """Mean counts of networks against a swept number, with how well each fits: a count means little without.

    Parameters
    ----------
    settings : (S,) positive numbers, increasing
        Such as the frequency of the target.
    counts : mapping of str to (S, runs) float
        Mean over the inputs of each measure, for each network.
    fit_error : (S, runs) float
        Of each network.
    label : str
        What was swept.
    converged : (S, runs) bool, optional
        Networks that did not converge are drawn hollow, named, and left out of the lines. By default all did.
    error_label : str
        What the fit error is, with its unit.
    log : bool
        Whether the axis of the counts is logarithmic. That of the errors is, where all are positive.
    title : str
    height : int
        Of the upper plot, in pixels.

    Returns
    -------
    bokeh.models.Column
        Counts above, fit errors below, over one axis.

    Raises
    ------
    NetgeomError
        Where the numbers do not belong together.
    """
    check_names(counts)
    places, error = np.asarray(settings, dtype=float), np.asarray(fit_error, dtype=float)
    fine = np.ones(error.shape, dtype=bool) if converged is None else np.asarray(converged, dtype=bool)
    if places.ndim != 1 or not len(places) or not (places > 0).all() or not (np.diff(places) > 0).all():
        raise NetgeomError(
            "The settings are no sweep.", expected="positive numbers, increasing", got=f"{list(settings)}"
        )
    series = {literal(name): np.asarray(values, dtype=float) for name, values in counts.items()}
    for name, values in {**series, "fit error": error, "converged": fine}.items():
        if values.ndim != 2 or values.shape != (len(places), error.shape[-1]):
            raise NetgeomError(
                f"{name} does not belong to the sweep.", expected=f"({len(places)}, runs)", got=f"{values.shape}"
            )
    positive = log and all((values > 0).all() for values in series.values())
    upper = _plot(height, (True, positive), (places, *series.values()), min_border_left=_LEFT)
    lower = _plot(150, (True, bool((error > 0).all())), (places, error), x_range=upper.x_range, min_border_left=_LEFT)
    signs = []
    for at, (name, values) in enumerate(series.items()):
        signs.append((name, palettes.categorical(len(series))[at], MARKERS[at % len(MARKERS)]))
        _add_runs(upper, places, values, fine, *signs[-1])
    _add_runs(lower, places, error, fine, literal(error_label), "#555555", "circle")
    KeyLegend(upper, "above", width=420).set(signs)
    upper.title.text = literal(title)
    upper.yaxis[0].axis_label = "neighbours, mean over inputs" + " (log scale)" * positive
    lower.yaxis[0].axis_label = literal(error_label)
    lower.xaxis[0].axis_label = literal(label) + " (log scale)"
    upper.xaxis[0].visible = False
    caption = add_caption(lower)
    say(caption, *_sweep_words(places, error, fine, literal(label)), width=72)
    lower.height += _LINE * caption.text.count("\n")
    return Column(upper, lower, sizing_mode="stretch_width", max_width=700, spacing=0)


def _add_runs(
    plot: figure, x: np.ndarray, values: np.ndarray, fine: np.ndarray, name: str, colour: str, marker: str
) -> None:
    """A mark for each network, and a line through the means of those that converged."""
    with np.errstate(invalid="ignore"):
        means = np.where(fine, values, 0).sum(axis=1) / np.where(fine.any(axis=1), fine.sum(axis=1), np.nan)
    plot.line(x, means, line_color=colour, line_width=2)
    at = np.broadcast_to(x[:, None], values.shape)
    runs = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    dots = []
    for keep, fill in ((fine, colour), (~fine, None)):
        source = ColumnDataSource(
            {"x": at[keep], "y": values[keep], "run": runs[keep], "name": [name] * int(keep.sum()),
             "how": ["converged" if fill else "did not converge"] * int(keep.sum())}
        )  # fmt: skip
        dots.append(
            plot.scatter(
                "x", "y", source=source, marker=marker, size=8, line_color=colour, fill_color=fill, line_width=1.5
            )
        )
    tips = "<div>@name <b>@y{0.[0000]}</b></div><div>at @x, run @run, @how</div>"
    plot.add_tools(HoverTool(renderers=dots, tooltips=tips))


def _sweep_words(x: np.ndarray, error: np.ndarray, fine: np.ndarray, label: str) -> list[str]:
    runs = error.shape[1]
    words = [f"A mark is one network ({runs} for each {label}), a line the mean of those that converged."]
    bad = [
        f"{number(place)} (run {', '.join(str(run) for run in np.flatnonzero(~row))}; error {_range(errors[~row])})"
        for place, row, errors in zip(x.tolist(), fine, error, strict=True)
        if not row.all()
    ]
    return [*words, f"Hollow: did not converge: {label} {'; '.join(bad)}." if bad else "All converged."]


def _range(values: np.ndarray) -> str:
    low, high = number(float(values.min())), number(float(values.max()))
    return low if low == high else f"{low} to {high}"


def _plot(height: int, logs: tuple[bool, bool], data: tuple[np.ndarray, ...], **options: Any) -> figure:
    """An empty plot around data: x first, then what is on the other axis."""
    types = {name: "log" if log else "linear" for name, log in zip(("x_axis_type", "y_axis_type"), logs, strict=True)}
    ranges: dict[str, Any] = {}
    for name, log, columns in zip(("x_range", "y_range"), logs, (data[:1], data[1:]), strict=True):
        axis = Range1d(1, 10, reset_start=1, reset_end=10)
        low, high = limits(*columns)
        if log:
            low = max(low, high * 1e-12)
            fit_range(axis, low / (high / low) ** _ROOM if high > low else low / 2, high * (high / low) ** _ROOM)
        else:
            fit_range(axis, low, high, margin=_ROOM)
        ranges[name] = axis
    plot = make_plot(height, **{**types, **ranges, **options})
    settings = np.unique(data[0]) if logs[0] and len(data[0]) <= LEGEND_ENTRIES else None
    for axis, log, ends, places in zip(
        (plot.xaxis[0], plot.yaxis[0]), logs, ranges.values(), (settings, None), strict=True
    ):
        places = _log_places(ends.start, ends.end) if places is None and log else places
        if places is not None:
            name_ticks(axis, places, [f"{place:g}" for place in places.tolist()])
        elif log:
            axis.ticker = LogTicker(num_minor_ticks=0, desired_num_ticks=5)
    plot.xgrid[0].ticker, plot.ygrid[0].ticker = plot.xaxis[0].ticker, plot.yaxis[0].ticker
    return plot


def _log_places(low: float, high: float) -> np.ndarray | None:
    """1, 2, 5, 10, ... within an interval of a few decades, where a ticker would divide evenly; else None."""
    if high / low > 10**_DECADES:
        return None
    powers = 10.0 ** np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    places = (powers[:, None] * [1.0, 2.0, 5.0]).ravel()
    return places[(places >= low) & (places <= high)]
