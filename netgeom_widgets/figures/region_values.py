"""What a region partition is coloured by: one number or one category per region, with its label and unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float, Int

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Partition

#: The choices of ``color_by``, in the order of the menu.
COLOR_BY = ("slope norm", "output", "class", "area", "region id", "layer of birth")
#: The choices of ``scale``; "auto" is logarithmic for areas and linear otherwise.
SCALES = ("auto", "linear", "log")
#: What a partition that still lacks layers can be coloured by: the rest needs the network's output.
_BEFORE_OUTPUT = ("area", "region id", "layer of birth")


@dataclass(frozen=True, eq=False)
class RegionValues:
    """One value per region of the full partition, and how to read it.

    Attributes
    ----------
    values : (R,) float64
        The number, or the category as an integer; NaN where undefined.
    groups : (R,) int32
        Which region of the partition after the shown layer each region lies in; all of a group share one value.
    kind : {"sequential", "diverging", "category", "identity"}
        Numbers; numbers around zero; few named categories; ids that only tell regions apart.
    label, unit : str
        For the colour bar, the legend and the hover.
    log : bool
        Whether the colours follow the logarithm.
    categories : tuple of (int, str)
        Value and name of each category, for the legend.
    span : (float, float) or None
        Limits of a colour scale shared with other partitions, instead of this one's own.
    """

    values: Float[np.ndarray, " R"]
    groups: Int[np.ndarray, " R"]
    kind: str
    label: str
    unit: str = ""
    log: bool = False
    categories: tuple[tuple[int, str], ...] = ()
    span: tuple[float, float] | None = None

    @property
    def is_number(self) -> bool:
        """Whether there is a colour scale."""
        return self.kind in ("sequential", "diverging")

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the colour scale: ``span``, or the smallest and largest finite value; symmetric when diverging.

        For a logarithm the hundredth part of the regions with the smallest values lies below the limits: slivers of
        1e-16 would take the colours from everything else. The ends are never equal.
        """
        if self.span is not None:
            return self.span
        usable = self.values[np.isfinite(self.values) & ((self.values > 0) | (not self.log))]
        if not len(usable):
            return (0.1, 1.0) if self.log else (0.0, 1.0)
        low = float(np.quantile(usable, 0.01, method="lower") if self.log else usable.min())
        high = float(usable.max())
        if self.kind == "diverging":
            high = max(abs(low), abs(high))
            low = -high
        if high - low > 1e-12 * max(abs(low), abs(high)):
            return low, high
        return (low / 2, high * 2) if self.log else (low - 0.5, high + 0.5)


_norms: WeakKeyDictionary[Any, np.ndarray] = WeakKeyDictionary()


def slope_norms(partition: Partition) -> Float[np.ndarray, " R"]:
    """Slope norm of every region as ``statistics()`` has it; kept, because each new colouring asks for it."""
    if partition not in _norms:
        _norms[partition] = np.asarray(partition.statistics().slope_norm, dtype=np.float64)
    return _norms[partition]


def layer_count(partition: Partition) -> int:
    """How many activation operations the partition has been cut by so far."""
    return len(partition.region_counts)


def groups_at(partition: Partition, layer: int) -> Int[np.ndarray, " R"]:
    """For every region, the region after ``layer`` activation operations that it lies in (0: the whole domain)."""
    if layer >= layer_count(partition):
        return np.arange(partition.n_regions, dtype=np.int32)
    if layer <= 0:
        return np.zeros(partition.n_regions, dtype=np.int32)
    return np.asarray(partition.ancestors(layer - 1), dtype=np.int32)


def region_values(
    partition: Partition, color_by: str, *, output: int = 0, layer: int | None = None, scale: str = "auto"
) -> RegionValues:
    """The quantity ``color_by`` of every region of ``partition`` as seen after ``layer`` activation operations.

    Before the last layer a shown region is a union of final ones: slope norms and outputs are then area-weighted
    means over it (for the output this is exactly its mean), the class is the one with the largest share.

    Parameters
    ----------
    partition : Partition
        The whole domain's partition. One that lacks layers falls back from output quantities to "area".
    color_by : str
        One of ``COLOR_BY``.
    output : int
        Which output "output" means.
    layer : int, optional
        Number of activation operations taken into account; all by default.
    scale : str
        One of ``SCALES``; only for numbers that are not signed.

    Returns
    -------
    RegionValues
    """
    last = layer_count(partition)
    layer = last if layer is None else min(max(layer, 0), last)
    groups = groups_at(partition, layer)
    if not partition.complete and color_by not in _BEFORE_OUTPUT:
        color_by = "area"
    length = "input unit" if partition.domain.metric else "(s, t) unit"
    merged = layer < last
    if color_by == "slope norm":
        norm = _mean(slope_norms(partition), partition, groups, merged)
        label = "mean slope norm" if merged else "slope norm"
        return RegionValues(norm, groups, "sequential", label, f"per {length}", log=scale == "log")
    if color_by == "output":
        mean = np.einsum("ri,ri->r", partition.slopes[:, output], partition.centroids) + partition.offsets[:, output]
        return RegionValues(_mean(mean, partition, groups, merged), groups, "diverging", f"mean output {output}")
    if color_by == "class":
        return _classes(partition, groups, merged)
    if color_by == "area":
        area = np.bincount(groups, partition.areas)[groups]
        unit = "input units²" if partition.domain.metric else "(s, t) units²"
        return RegionValues(area, groups, "sequential", "area", unit, log=scale != "linear")
    if color_by == "layer of birth":
        births = births_at(partition, layer)
        names = tuple((op, layer_name(partition, op)) for op in np.unique(births).tolist())
        return RegionValues(births.astype(np.float64), groups, "category", "layer of birth", categories=names)
    return RegionValues(groups.astype(np.float64), groups, "identity", "region")


def births_at(partition: Partition, layer: int) -> Int[np.ndarray, " R"]:
    """Index of the last of the first ``layer`` activation operations that cut each region; -1 where none did."""
    if layer >= layer_count(partition):
        return np.asarray(partition.births)
    births = np.full(partition.n_regions, -1, dtype=np.int32)
    parents = groups_at(partition, 0)
    for op in range(layer):
        children = groups_at(partition, op + 1)
        pairs = np.unique(np.stack([parents, children], axis=1), axis=0)
        cut = np.bincount(pairs[:, 0], minlength=int(parents.max()) + 1) > 1
        births[cut[parents]] = op
        parents = children
    return births


def layer_name(partition: Partition, op: int) -> str:
    """How a layer is called in legends and menus: its place in the network and its name in the model."""
    return f"layer {op + 1} ({partition.ops[op]})" if op >= 0 else "never cut"


def hover_columns(partition: Partition, ids: Int[np.ndarray, " P"]) -> dict[str, Any]:
    """What the hover says of a region beside its colour; outputs are unknown until the last layer is done."""
    columns = {"area": partition.areas, "sides": np.diff(partition.ring_offsets)}
    if partition.complete:
        columns |= {"class": partition.classes, "slope": slope_norms(partition)}
    else:
        columns |= dict.fromkeys(("class", "slope"), np.full(partition.n_regions, np.nan))
    # Index -1, a polygon of the view that lies in no region of the whole by rounding, takes the NaN at the end.
    return {"region": ids, **{name: np.append(column, np.nan)[ids] for name, column in columns.items()}}


def _mean(values: np.ndarray, partition: Partition, groups: np.ndarray, merged: bool) -> np.ndarray:
    if not merged:
        return values
    return (np.bincount(groups, partition.areas * values) / np.bincount(groups, partition.areas))[groups]


def _classes(partition: Partition, groups: np.ndarray, merged: bool) -> RegionValues:
    classes = np.asarray(partition.classes)
    named = tuple((c, f"class {c}") for c in np.unique(classes).tolist())
    if merged:
        shares = np.stack([np.bincount(groups, partition.areas * (classes == c)) for c, _ in named], axis=1)
        classes = np.array([c for c, _ in named])[shares.argmax(axis=1)][groups]
    label = "class with the largest share" if merged else "predicted class"
    return RegionValues(classes.astype(np.float64), groups, "category", label, categories=named)
