"""The samples of the similarity matrix: inputs with labels, targets, thumbnails and words, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.sprites import SpriteSheet, looks_like_images

#: Longest side of a thumbnail: the first with which all samples fit one sheet.
_TILES = (32, 16, 8)
#: Inputs of no more numbers are shown as these numbers, where there is neither an image nor a name.
_SHORT = 12


class Samples:
    """What is known of each sample; the id of a sample is its place among the inputs.

    Parameters
    ----------
    inputs : array or tensor (n, *input shape), or None
        None where only a stored matrix is known.
    n : int
        How many samples.
    labels : array (n,), optional
    images : array, optional
        Thumbnails: (n, h, w), (n, h, w, c) or (n, c, h, w). By default the inputs where they are images; False for
        none.
    names : sequence of n texts, or table, optional
        Words for each sample; or a mapping of column names to n values each (a pandas DataFrame will do), of which
        each row is shown.
    targets : array (n, ...), optional
        What the model's outputs should be.

    Raises
    ------
    NetgeomError
        Whatever does not fit n samples.
    """

    def __init__(
        self,
        inputs: Any,
        n: int,
        *,
        labels: Any = None,
        images: Any = None,
        names: Any = None,
        targets: Any = None,
    ) -> None:
        self.inputs, self.n = inputs, n
        self.labels = _one_each(labels, n, "labels", flat=True)
        self.targets = _one_each(targets, n, "targets")
        self.sprites = self._thumbnails(images)
        self._names = _words(names, n)

    def __len__(self) -> int:
        """How many samples."""
        return self.n

    @cached_property
    def known(self) -> SampleLabels:
        """Labels with names and colours."""
        return SampleLabels(self.labels, self.n)

    @property
    def has_classes(self) -> bool:
        """Whether the labels are whole numbers from 0, as classes are."""
        return self.labels is not None and self.labels.dtype.kind in "iu" and int(self.labels.min(initial=0)) >= 0

    @cached_property
    def texts(self) -> list[str] | None:
        """Words for each sample: its name or table row, or the numbers of a short input; None where an image does."""
        if self._names is not None:
            return self._names
        if self.sprites is not None or self.inputs is None:
            return None
        rows = to_numpy(self.inputs).reshape(self.n, -1)
        if rows.shape[1] > _SHORT or rows.dtype.kind not in "buif":
            return None
        return [", ".join(f"{entry:.4g}" for entry in row) for row in rows.tolist()]

    def words(self, sample: int) -> str:
        """A sample in words: id, label, text."""
        known = [f"input {sample}"]
        if self.labels is not None:
            known.append(f"label {_entry(self.labels[sample])}")
        if self.texts is not None:
            known.append(self.texts[sample])
        return ", ".join(known)

    def _thumbnails(self, images: Any) -> SpriteSheet | None:
        if images is False:
            return None
        if images is not None:
            array = to_numpy(images)
            if array.ndim < 1 or len(array) != self.n:
                raise NetgeomError(
                    "images do not fit the inputs.", expected=f"one for each of {self.n}", got=f"shape {array.shape}"
                )
            return SpriteSheet.of(array, tile=_tile_of(array))
        if self.inputs is None:
            return None
        array = to_numpy(self.inputs)
        if array.dtype.kind not in "buif" or not looks_like_images(array):
            return None
        try:
            return SpriteSheet.of(array, tile=_tile_of(array))
        except NetgeomError:  # nobody asked for them: too many even when small
            return None


def to_numpy(values: Any) -> np.ndarray:
    """An array of what the user gave, tensors included."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _tile_of(array: np.ndarray) -> int:
    """The side of thumbnails with which all fit one sheet, or the smallest, which is then refused."""
    from netgeom_widgets.figures.sprites import MAX_PIXELS

    return next((tile for tile in _TILES if len(array) * tile * tile <= MAX_PIXELS), _TILES[-1])


def _one_each(values: Any, n: int, what: str, *, flat: bool = False) -> np.ndarray | None:
    if values is None:
        return None
    array = to_numpy(values)
    if array.ndim < 1 or len(array) != n or (flat and array.ndim != 1):
        expected = f"one for each of {n} inputs" + (f", shape ({n},)" if flat else "")
        raise NetgeomError(f"The {what} do not fit the inputs.", expected=expected, got=f"shape {array.shape}")
    return array


def _words(names: Any, n: int) -> list[str] | None:
    """Texts, or the rows of a table as texts."""
    if names is None:
        return None
    if isinstance(names, Mapping) or hasattr(names, "columns"):
        columns = {str(key): _column(names[key], n, str(key)) for key in names}
        return [", ".join(f"{key} {_entry(values[row])}" for key, values in columns.items()) for row in range(n)]
    if isinstance(names, str) or not isinstance(names, Sequence | np.ndarray):
        raise NetgeomError("names is not understood.", expected="texts, or a table", got=type(names).__name__)
    return [str(name) for name in _column(names, n, "names")]


def _column(values: Any, n: int, what: str) -> list[Any]:
    column = list(values)
    if len(column) != n:
        raise NetgeomError(
            f"{what} does not fit the inputs.", expected=f"one entry for each of {n} inputs", got=f"{len(column)}"
        )
    return column


def _entry(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
