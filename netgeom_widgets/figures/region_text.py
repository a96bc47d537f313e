"""What the region picture says in words: title, caption, hover line and the detail panel of one region."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.region_geometry import Window, neighbours
from netgeom_widgets.figures.region_values import groups_at, layer_count, layer_name

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Partition, Slice
    from netgeom_widgets.kernels.regions.planes import Motion

#: More outputs than this are left out of the detail panel, which says so.
_MAX_OUTPUTS = 10
_MAX_BRANCHES = 4
#: Letters of a network's name in a title, which canvas text does not wrap.
_LONGEST_NAME = 32


def count(n: int, noun: str) -> str:
    """The number with its noun in the singular or plural: "1 region", "1,204 regions"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def title(partition: Partition, layer: int, step: int | None = None, name: str = "") -> str:
    """How many regions there are, after which layer, at which step of training and of which network."""
    if step is not None or name:
        words = title(partition, layer)
        where = "" if step is None else f"step {step:,}" if name else f"Step {step:,}"
        called = textwrap.shorten(name, _LONGEST_NAME, placeholder=" \N{HORIZONTAL ELLIPSIS}")
        return f"{', '.join(filter(None, [called, where]))}: {words[0].lower()}{words[1:]}"
    last = layer_count(partition)
    if not partition.complete:
        return f"{count(partition.n_regions, 'region')} after {layer_name(partition, last - 1)}, not finished"
    if layer >= last:
        return f"{count(partition.n_regions, 'region')}, exact"
    if layer == 0:
        return f"The whole domain, before the first of {last} layers"
    shown = int(groups_at(partition, layer).max()) + 1
    return f"{count(shown, 'region')} after layer {layer} of {last}, exact"


def mode(n_polygons: int, raster: bool, *, all_layers: bool = True) -> str:
    """Which of the two pictures is shown; before the last layer several polygons make up a region."""
    polygons = count(n_polygons, "exact polygon") + ("" if all_layers else ", those of all layers")
    return f"raster of {polygons}" if raster else polygons


def common_scale(n_steps: int, *, both: bool = False) -> str:
    """Which networks and steps of training share the colour scale."""
    steps = f"the {n_steps:,} steps seen so far" if n_steps > 1 else ""
    shared = " and ".join(filter(None, ["both networks" if both else "", steps]))
    return f"One colour scale for {shared}." if shared else ""


def view(window: Window, domain: Window) -> str:
    """How far the view is zoomed in."""
    zoom = domain.width / window.width
    words = [] if zoom < 1.05 else [f"zoom {_factor(zoom)}×, view {window.width:.3g} wide"]
    common = window.intersect(domain)
    if common.width <= 0 or common.height <= 0:
        words.append("all of it outside the domain")
    return "; ".join(words)


#: Said where zooming stops.
ZOOM_LIMIT = "Zoom limit: any closer, float64 no longer separates hinges."


def wrapped(text: str) -> str:
    """In lines that fit a narrow cell: canvas text does not wrap by itself."""
    return textwrap.fill(text, 66)


def _factor(zoom: float) -> str:
    return f"{zoom:.2g}" if zoom < 10 else f"{zoom:,.0f}" if zoom < 1e6 else f"{zoom:.2g}"


def distances(distance: Float[np.ndarray, " N"], reach: float, n_inside: int) -> str:
    """How many of the samples lie how close to the plane: a projection must not pass for the sample."""
    n = len(distance)
    if not n:
        return ""
    outside = f"; {n - n_inside:,} outside the domain" if n_inside < n else ""
    farthest = float(distance.max())
    if farthest <= 1e-9 * max(reach, 1.0):
        return f"{count(n, 'sample')}, all in the plane{outside}"
    near = [f"{int((distance <= radius).sum()):,} within {number(radius)}" for radius in (reach, 10 * reach)]
    return (
        f"{count(n, 'sample')} projected onto the plane: {', '.join(near)} of it, farthest {number(farthest)} "
        f"(input units); farther ones fainter{outside}"
    )


def axis_labels(domain: Slice) -> tuple[str, str]:
    """Names and units of the slice coordinates; a plane that is not metric is named as such."""
    if domain.metric:
        return "s (input units)", "t (input units)"
    oblique = "u and v not orthonormal: areas, lengths and slopes are in (s, t)"
    return f"s, in lengths of u  ({oblique})", "t, in lengths of v"


def place(point: tuple[float, float]) -> str:
    """A point of the slice in words."""
    return f"s {number(point[0])}, t {number(point[1])}"


def slice_words(
    n_entries: int,
    bounds: Sequence[float] | None,
    anchors: Sequence[int] | None,
    motion: Motion,
    *,
    chosen: bool = False,
) -> str:
    """Which slice is shown: where it started, and how it was moved from there.

    ``n_entries`` numbers make an input; ``bounds`` are those of a box; ``chosen`` says that nobody gave the anchors.
    """
    if anchors is not None:
        words = f"plane through samples {', '.join(map(str, anchors))}" + (
            " (central ones, chosen here)" if chosen else ""
        )
    elif bounds is not None:
        left, right, lower, upper = map(number, bounds)
        words = f"box: x₁ from {left} to {right}, x₂ from {lower} to {upper}"
    else:
        words = f"the plane given, among inputs of {n_entries:,} numbers"
    moves = {
        "turned by {}°": motion.turn,
        "tilted by {}°": motion.tilt,
        "shifted by {} widths along s": motion.shift_s,
        "shifted by {} heights along t": motion.shift_t,
        "shifted by {} sides off the plane": motion.shift_w,
    }
    done = [text.format(number(amount)) for text, amount in moves.items() if amount]
    done += [f"{number(motion.size)} times the size"] if motion.size != 1 else []
    return "; ".join([words, *done])


def hover_line(partition: Partition, region: int, point: tuple[float, float] | None = None) -> str:
    """One line about a region, plain text: what the raster shows under the pointer."""
    at = "" if point is None else f"{place(point)}: "
    if region < 0:
        return f"{at}outside the domain"
    words = [f"region {region:,}", f"area {number(partition.areas[region])}"]
    if partition.complete:
        slopes = np.atleast_2d(partition.slopes[region])
        words.append(f"slope norm {number(float(np.linalg.norm(slopes, 2)))}")
        words.append(f"class {int(partition.classes[region])}")
    return at + ", ".join(words)


def detail_html(
    partition: Partition,
    region: int,
    pattern: dict[str, Int[np.ndarray, " U"]],
    samples: Int[np.ndarray, " M"] | None,
    nearest: float | None,
) -> str:
    """The detail panel of one region: facts, affine map, activation pattern. All user text is escaped.

    Parameters
    ----------
    partition : Partition
        Of the whole domain, complete.
    region : int
        Id in it.
    pattern : dict
        Branch of every unit per activation operation, as ``partition.pattern(region)`` gives it.
    samples : (M,) ids or None
        Samples whose projection lies in the region; None without data.
    nearest : float or None
        Smallest distance of these samples to the plane.
    """
    sides = int(partition.ring_offsets[region + 1] - partition.ring_offsets[region])
    share = 100 * float(partition.areas[region]) / float(np.sum(partition.areas))
    unit = "input units²" if partition.domain.metric else "(s, t) units²"
    centre = partition.centroids[region]
    facts = [
        ("class", f"{int(partition.classes[region])}"),
        ("area", f"{number(partition.areas[region])} {unit} ({share:.2g} %)"),
        ("centre", place((centre[0], centre[1]))),
        ("shape", f"{sides} sides, {count(len(neighbours(partition, region)), 'neighbour')}"),
        ("born", layer_name(partition, int(partition.births[region]))),
    ]
    if samples is not None:
        near = f", nearest {number(nearest)} off the plane" if nearest else ""
        facts.append(("samples", f"{len(samples):,}{near}"))
    rows = "".join(f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in facts)
    return (
        f"<div class='netgeom-detail'><b>Region {region:,}</b> <span>of {partition.n_regions:,}</span>"
        f"<table>{rows}</table>{_affine_html(partition, region)}{_pattern_html(partition, pattern)}</div>"
    )


def hint_html(partition: Partition | None, n_selected: int = 0) -> str:
    """What the panel says while no region is picked."""
    words = "Click a region to see its affine map and its activation pattern." if partition is not None else ""
    selected = f"<div>{count(n_selected, 'sample')} selected</div>" if n_selected else ""
    return f"<div class='netgeom-detail'>{selected}<span>{words}</span></div>"


def _affine_html(partition: Partition, region: int) -> str:
    slopes, offsets = partition.slopes[region], partition.offsets[region]
    lines = []
    for c, ((a, b), d) in enumerate(zip(slopes[:_MAX_OUTPUTS].tolist(), offsets[:_MAX_OUTPUTS].tolist(), strict=True)):
        name = "f" if len(slopes) == 1 else f"f<sub>{c}</sub>"
        lines.append(f"<tr><td>{name} =</td><td>{number(a)} s</td><td>{_signed(b)} t</td><td>{_signed(d)}</td></tr>")
    more = len(slopes) - len(lines)
    rest = f"<div><span>and {count(more, 'more output')}: result.slopes[{region}]</span></div>" if more > 0 else ""
    norm = number(float(np.linalg.norm(slopes, 2)))
    head = f"<div><b>Affine map</b> <span>slope norm {norm}</span></div>"
    return f"{head}<table class='netgeom-map'>{''.join(lines)}</table>{rest}"


def _pattern_html(partition: Partition, pattern: dict[str, Int[np.ndarray, " U"]]) -> str:
    rows = []
    breakpoints = {layer.name: layer.n_breakpoints for layer in partition.layers}
    for layer, (op, branches) in enumerate(pattern.items(), start=1):
        units, active = branches.size, int((np.asarray(branches) > 0).sum())
        percent = 100 * active / max(units, 1)
        name = f"<th title='{escape(op, quote=True)}'>{escape(f'layer {layer} ({op})')}</th>"
        if breakpoints.get(op, 1) != 1:
            words = _branches(np.asarray(branches), "piece" if breakpoints[op] else "entry")
            rows.append(f"<tr>{name}<td colspan='2'>{words}</td></tr>")
            continue
        bar = f"<td><i><i style='width:{percent:.0f}%'></i></i></td>"
        rows.append(f"<tr>{name}{bar}<td>{active:,} of {units:,}</td></tr>")
    return f"<div><b>Active units</b> <span>per layer</span></div><table class='netgeom-bars'>{''.join(rows)}</table>"


def _branches(branches: Int[np.ndarray, " U"], noun: str) -> str:
    """How many units are on each branch, the most common first: of a maximum, which entry of its window wins."""
    numbers, units = np.unique(branches, return_counts=True)
    order = np.argsort(-units, kind="stable")
    shown = [f"{noun} {numbers[k]}: {units[k]:,}" for k in order[:_MAX_BRANCHES]]
    return ", ".join([*shown, "…"] if len(order) > _MAX_BRANCHES else shown)


def _signed(value: float) -> str:
    sign = "\N{MINUS SIGN}" if value < 0 else "+"
    return f"{sign} {number(abs(value))}"


#: Style of the detail panel; colours come from the notebook's theme, so it reads in the light and the dark one.
DETAIL_STYLE = """<style>
.netgeom-detail { line-height: 1.45; font-size: 12px; color: var(--jp-ui-font-color1, inherit); }
.netgeom-detail b { font-size: 13px; }
.netgeom-detail span { color: var(--jp-ui-font-color2, inherit); }
.netgeom-detail table { border-collapse: collapse; margin: 2px 0 8px; background: none; }
.netgeom-detail th { font-weight: normal; text-align: left; padding: 0 10px 0 0; white-space: nowrap;
  color: var(--jp-ui-font-color2, inherit); max-width: 110px; overflow: hidden; text-overflow: ellipsis; }
.netgeom-detail td { padding: 0; text-align: left; }
.netgeom-detail .netgeom-map td { text-align: right; padding: 0 8px 0 0; white-space: nowrap;
  font-family: var(--jp-code-font-family, monospace); }
.netgeom-detail .netgeom-bars { width: 100%; }
.netgeom-detail .netgeom-bars td { white-space: nowrap; padding-right: 6px; }
.netgeom-detail .netgeom-bars > tbody > tr > td:nth-child(2) { width: 100%; }
.netgeom-detail i { display: block; height: 8px; border-radius: 4px; background: var(--jp-border-color2, #ccc); }
.netgeom-detail i > i { background: var(--jp-brand-color1, #1976d2); }
</style>"""
