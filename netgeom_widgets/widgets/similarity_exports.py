"""Mixin of the similarity matrix: its numbers as arrays and as a table, a row per input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netgeom_widgets.widgets import exports
from netgeom_widgets.widgets.similarity_counting import Counts
from netgeom_widgets.widgets.similarity_details import predictions
from netgeom_widgets.widgets.similarity_picture import Picture
from netgeom_widgets.widgets.similarity_source import Source

#: Neighbours exported of each input, at most.
_NEIGHBOURS = 50
#: And in a table, which people read.
_LISTED = 10


class Exports:
    """What :meth:`export_data` writes; to a path that ends in .zarr it writes a zarr store with an array per name."""

    _source: Source

    def export_data(self, path: str | Path) -> None:
        """Write the numbers of the result: .npz and .zarr take all arrays, .csv a table with a row per input.

        The table has the ten nearest neighbours of each input. The arrays: ``values`` (rows and columns in the order of
        the ids; not of a store, which is a file already), ``order``, counts, the nearest neighbours of each input with
        their similarities, and what is known of the inputs. Settings come along as JSON under the name ``about``;
        nothing is pickled.
        """
        if str(path).lower().endswith(".zarr"):
            self._export(lambda: exports.save_zarr(self._export_arrays(), path, self.state()))
        else:
            super().export_data(path)  # type: ignore[misc]

    def _export_arrays(self) -> dict[str, Any]:
        picture: Picture = self._finished()
        found, entries = picture.found, picture.entries
        ids, near = _neighbours(picture)
        arrays: dict[str, Any] = {
            **({} if self._source.is_stored else {"values": entries.values}),
            "order": picture.order,
            "neighbours": ids,
            "neighbour_similarities": near,
            **self._counted(picture),
        }
        for name in ("zero_gradient", "rank", "outputs"):
            if getattr(found, name, None) is not None:
                arrays[name] = np.asarray(getattr(found, name))
        samples = self._source.samples
        known = {"labels": samples.labels, "targets": samples.targets, "predictions": predictions(picture)}
        arrays |= {name: values for name, values in known.items() if values is not None}
        return arrays | self._part_arrays()  # type: ignore[no-any-return,attr-defined]  # of what stands below the matrix

    def _export_table(self) -> dict[str, Any]:
        picture: Picture = self._finished()
        ids, near = _neighbours(picture, _LISTED)
        samples, predicted = self._source.samples, predictions(picture)
        table: dict[str, Any] = {"id": np.arange(samples.n), "place": picture.places}
        if samples.labels is not None:
            table["label"] = samples.labels
        if predicted is not None:
            table["predicted"] = predicted
        table |= self._counted(picture)
        for name in ("zero_gradient", "rank"):
            if getattr(picture.found, name, None) is not None:
                table[name] = np.asarray(getattr(picture.found, name)).astype(np.int64)
        if ids.shape[1]:
            table |= {"neighbour": ids, "similarity": near}  # a column for each rank, from 0
        return table

    def _counted(self, picture: Picture) -> dict[str, np.ndarray]:
        """The counts at the present threshold and power."""
        counts: Counts = self._counts_at(picture)
        return {"hard": counts.hard, "soft": counts.soft, f"less_soft_{counts.power}": counts.less_soft}


def _neighbours(picture: Picture, k: int = _NEIGHBOURS) -> tuple[np.ndarray, np.ndarray]:
    """Ids and similarities (n, k) of the nearest others of each input."""
    return picture.entries.all_nearest(min(k, picture.entries.n - 1))
