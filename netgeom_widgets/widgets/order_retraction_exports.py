"""Mixin of the order retraction plot: its numbers as arrays, its graph as a file, a table of runs or of nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.order_retraction_picture import Picture


class Exports:
    """What :meth:`export_data` and :meth:`export_graph` write."""

    def export_graph(self, path: str | Path) -> None:
        """Write the Morse graph: .graphml or .dot; nodes with the sizes of their sets and tiles.

        Raises
        ------
        NetgeomError
            When no run has finished yet, or for another suffix.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in (".graphml", ".dot"):
            raise NetgeomError("The file name does not fit.", expected=".graphml or .dot", got=suffix or "no suffix")
        from netgeom_widgets.kernels.order_retraction import to_dot, to_graphml

        writers = {".graphml": to_graphml, ".dot": to_dot}
        self._export(lambda: writers[suffix](self._finished().retraction, path))  # type: ignore[attr-defined]

    def _export_arrays(self) -> dict[str, Any]:
        picture: Picture = self._finished()  # type: ignore[attr-defined]
        retraction, known, grid = picture.retraction, picture.decomposition, picture.grid
        arrays = {
            "node": retraction.node,
            "status": retraction.status,
            "may_leave": retraction.may_leave,
            "label": known.label,
            "leq": known.leq,
            "hasse": np.array(known.hasse, dtype=np.int64).reshape(-1, 2),
            "heights": known.heights,
            "sizes": known.sizes,
            "reach": known.reach,
            "reach_sets": known.reach_sets,
            "image_first": known.images.first,
            "image_last": known.images.last,
            "lower": grid.lower,
            "upper": grid.upper,
            "shape": np.array(grid.shape),
            "names": np.array(picture.space.names),
        }
        if picture.source.n_runs:
            arrays |= _of_runs(picture) | {"steps": np.array(picture.source.steps), "runs": picture.space.runs.values}
        return arrays | self._part_arrays()  # type: ignore[attr-defined]  # of what stands below the figure

    def _export_table(self) -> dict[str, Any]:
        """A row per run; where a map was given, a row per Morse node."""
        picture: Picture = self._finished()  # type: ignore[attr-defined]
        if picture.source.n_runs:
            return _of_runs(picture)
        known, retraction = picture.decomposition, picture.retraction
        return {
            "node": np.arange(known.n_nodes),
            "cells": known.sizes,
            "tile_cells": retraction.tile_sizes,
            "height": known.heights,
        }


def _of_runs(picture: Picture) -> dict[str, Any]:
    """What is known of each run, a row each."""
    source = picture.source
    columns: dict[str, Any] = {
        "run_id": np.array(source.run_ids),
        "start": picture.starts,
        "end": picture.ends,
        "start_cell": picture.start_cells,
        "start_node": picture.start_nodes,
        "end_node": picture.end_nodes,
    }
    if source.labels is not None:
        columns["label"] = source.labels
    return columns | {f"quantity_{name}": values for name, values in source.per_run.items()}
