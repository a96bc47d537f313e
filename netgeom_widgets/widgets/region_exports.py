"""What the region explorer writes to files: the arrays of its partitions, and a table of regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.widgets.region_view import Prepared

_ARRAYS = ("vertices", "edges", "edge_op", "edge_unit", "edge_regions", "ring_offsets", "ring_vertices")
_ARRAYS += ("areas", "centroids", "slopes", "offsets", "classes", "births")
_COLUMNS = ("areas", "centroids", "offsets", "classes", "births")


def arrays_of(prepared: Prepared | None, points: SliceSamples) -> dict[str, Any]:
    """Arrays of a finished partition and of the samples on it, by name.

    Raises
    ------
    NetgeomError
        Where no run has finished.
    """
    if prepared is None:
        raise NetgeomError("There is nothing to export yet.", try_this="run() and wait() first")
    found = prepared.result
    arrays = {name: getattr(found, name) for name in _ARRAYS}
    line = found.decision_boundary()
    arrays |= {"boundary_segments": line.segments, "boundary_classes": line.classes}
    arrays |= {f"slice_{name}": getattr(found.domain, name) for name in ("origin", "u", "v", "polygon")}
    if len(points):
        arrays |= {
            "sample_points": points.points,
            "sample_distance": points.distance,
            "sample_region": prepared.sample_regions,
        }
    return arrays


def region_table(named: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A row per region: area, centroid, class, birth, map. Of several networks one after the other, by name.

    Outputs that a network lacks are NaN in its rows.
    """
    tables = [_table(arrays) for arrays in named.values()]
    if len(tables) == 1:
        return tables[0]
    widths = {name: max(table[name].shape[1] for table in tables) for name in ("offsets", "slopes")}
    for table in tables:
        for name, width in widths.items():
            more = width - table[name].shape[1]
            table[name] = np.pad(table[name], ((0, 0), (0, more)), constant_values=np.nan)
    sizes = [len(table["region"]) for table in tables]
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    return {"network": np.repeat(np.array(list(named)), sizes), **columns}


def _table(arrays: dict[str, Any]) -> dict[str, Any]:
    n = len(arrays["areas"])
    rows = {name: np.asarray(arrays[name]) for name in _COLUMNS}
    return {"region": np.arange(n), **rows, "slopes": arrays["slopes"].reshape(n, -1)}
