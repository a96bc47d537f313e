"""The samples a run is watched on: their ids, labels and inputs, and the rows collected for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.recording.layout import INPUTS, LABELS, SAMPLE_IDS
from netgeom_widgets.recording.observation import same_random_numbers

Array = np.ndarray[Any, Any]
FEWER_SAMPLES = "fewer samples: a probe of some thousand shows as much"


def as_numpy(values: Any) -> Array:
    """A numpy array from a tensor on any device or from anything numpy reads; precisions it lacks as float32."""
    if isinstance(values, torch.Tensor):
        values = values.detach()
        if values.is_floating_point() and values.dtype not in (torch.float16, torch.float32, torch.float64):
            values = values.float()
        found: Array = values.cpu().numpy()
        return found
    return np.asarray(values)


def as_ids(ids: Any, n_samples: int | None) -> Array:
    """Distinct whole numbers from 0 on, (N,) int64; 0, 1, ... when none are given."""
    if ids is None and n_samples is not None:
        return np.arange(n_samples, dtype=np.int64)
    found = as_numpy(ids)
    expected = "distinct whole numbers from 0 on, one per sample"
    if found.ndim != 1 or found.dtype.kind not in "iu" or not len(found):
        raise NetgeomError("Sample ids are not understood", expected=expected, got=f"{found.shape} {found.dtype}")
    if n_samples is not None and len(found) != n_samples:
        raise NetgeomError("There are not as many ids as samples", expected=f"{n_samples}", got=f"{len(found)}")
    found = found.astype(np.int64)
    if found.min() < 0 or len(np.unique(found)) != len(found):
        got = "a negative one, or one of more than 63 bits" if found.min() < 0 else "the same one twice"
        raise NetgeomError("Sample ids are not understood", expected=expected, got=got)
    return found


def as_labels(labels: Any, n_samples: int) -> Array:
    """One class or target per sample, (N,) or (N, 1) as torch's losses take it: int64, or floating as given."""
    found = as_numpy(labels)
    if found.shape == (n_samples, 1):
        found = found[:, 0]
    if found.shape != (n_samples,) or found.dtype.kind not in "iubf":
        raise NetgeomError(
            "Labels are not understood",
            expected=f"one number per sample, shape ({n_samples},) or ({n_samples}, 1)",
            got=f"{found.shape} {found.dtype}",
            try_this="no labels when there is more than one target per sample",
        )
    return found.copy() if found.dtype.kind == "f" else found.astype(np.int64)


class Probe:
    """The samples, as they were when the recorder was made.

    Parameters
    ----------
    data : tensor, array, (inputs, labels), Dataset or None
        None where only ids are known.
    ids : sequence of int or None
    """

    def __init__(self, data: Any, ids: Any, *, store_inputs: bool) -> None:
        inputs, labels = _stacked(data) if isinstance(data, Dataset) else _pair(data)
        if inputs is None and ids is None:
            raise NetgeomError("A recorder needs to know its samples", expected="a probe, or ids", got="neither")
        self.inputs = None if inputs is None else _own_tensor(inputs)
        self.ids = as_ids(ids, None if self.inputs is None else len(self.inputs))
        self.labels = None if labels is None else as_labels(labels, len(self.ids))
        self._store_inputs = store_inputs
        self._placed: torch.Tensor | None = None
        self._order = np.argsort(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def arrays(self) -> dict[str, Array]:
        """What is written once."""
        arrays = {SAMPLE_IDS: self.ids}
        if self.labels is not None:
            arrays[LABELS] = self.labels
        if self._store_inputs and self.inputs is not None:
            arrays[INPUTS] = as_numpy(self.inputs)
        return arrays

    def batches(self, device: torch.device, dtype: torch.dtype, size: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Rows and inputs on the model's device; floating inputs in the model's dtype, others as they were given."""
        if self.inputs is None:
            raise NetgeomError("The probe has no inputs", expected="samples to run the model on", got="ids only")
        dtype = dtype if self.inputs.is_floating_point() else self.inputs.dtype
        if self._placed is None or (self._placed.device, self._placed.dtype) != (device, dtype):
            self._placed = self.inputs.to(device, dtype)
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield rows, self._placed[rows].clone()  # a model may work in place

    def rows_of(self, ids: Any) -> Array:
        """The rows that belong to ids; each must be known, and none may come twice."""
        asked = as_ids(ids, None)
        places = np.searchsorted(self.ids, asked, sorter=self._order)
        rows: Array = self._order[np.minimum(places, len(self) - 1)]
        unknown = asked[self.ids[rows] != asked]
        if len(unknown):
            raise NetgeomError(
                "Not all of these samples are recorded",
                expected="ids out of those the recorder was made with",
                got=", ".join(map(str, unknown[:5])),
            )
        return rows


def _pair(data: Any) -> tuple[Any, Any]:
    if data is None or isinstance(data, torch.Tensor | np.ndarray):
        return data, None
    if isinstance(data, tuple | list) and len(data) == 2 and hasattr(data[0], "shape"):
        return data[0], data[1]
    hint = "loader.dataset" if isinstance(data, DataLoader) else "torch.stack or numpy.stack of the samples"
    raise NetgeomError(
        "The probe is not understood",
        expected="inputs, (inputs, labels), or a map-style torch Dataset",
        got=type(data).__name__,
        try_this=hint,
    )


def _own_tensor(inputs: Any) -> torch.Tensor:
    """A copy, so that the probe stays what it was; on the device it was given on."""
    if not isinstance(inputs, torch.Tensor | np.ndarray):
        raise NetgeomError(
            "The probe's inputs are not understood", expected="a tensor or array", got=type(inputs).__name__
        )
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind not in "iubf":
        raise NetgeomError("The probe's inputs are not numbers", expected="a numeric array", got=str(inputs.dtype))
    if inputs.ndim == 0 or len(inputs) == 0:
        raise NetgeomError("The probe is empty", expected="inputs (N, ...) with N >= 1", got=f"{tuple(inputs.shape)}")
    require_memory(inputs.nbytes, "A copy of the probe's inputs", FEWER_SAMPLES)
    if isinstance(inputs, torch.Tensor):
        own = inputs.detach().clone()
    else:
        own = torch.from_numpy(inputs.astype(inputs.dtype.newbyteorder("=")))
    if own.is_floating_point() and not bool(torch.isfinite(own).all()):
        raise NetgeomError("The probe's inputs are not all finite", expected="finite numbers", got="NaN or infinity")
    return own


def _stacked(dataset: Dataset[Any]) -> tuple[torch.Tensor, Array | None]:
    """Read a data set once, item by item, without touching the run's random numbers."""
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise NetgeomError(
            "The probe is a data set without a length", expected="a map-style Dataset", got=type(dataset).__name__,
            try_this="torch.utils.data.Subset of a map-style one, or tensors",
        )  # fmt: skip
    n_samples = len(dataset)
    if n_samples == 0:
        raise NetgeomError(
            "The probe is empty", expected="at least one sample", got=f"an empty {type(dataset).__name__}"
        )
    with same_random_numbers():
        first, label = _item(dataset[0])
        require_memory(n_samples * first.nbytes, f"A probe of {n_samples} samples", FEWER_SAMPLES)
        inputs = torch.empty((n_samples, *first.shape), dtype=first.dtype)
        labels = []
        for i in range(n_samples):
            item, label = _item(dataset[i])
            if item.shape != first.shape:
                raise NetgeomError(
                    f"Sample {i} of the probe has another shape",
                    expected=f"{tuple(first.shape)}",
                    got=f"{tuple(item.shape)}",
                )
            inputs[i] = item
            labels.append(label)
    return inputs, None if labels[0] is None else np.stack([as_numpy(label) for label in labels])


def _item(item: Any) -> tuple[torch.Tensor, Any]:
    values, label = (
        (item if len(item) == 2 else (item[0], None)) if isinstance(item, tuple | list) and item else (item, None)
    )
    if not isinstance(values, torch.Tensor | np.ndarray):
        raise NetgeomError(
            "An item of the probe is not understood",
            expected="a tensor or array, or a pair of one and its label",
            got=type(values).__name__,
            try_this="a transform of the data set that gives tensors",
        )
    return torch.as_tensor(values), label
