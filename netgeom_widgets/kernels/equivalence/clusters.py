"""Which elements of a class are images of one another under the symmetries of the network, and which are new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels.equivalence.alignment import nearest_image
from netgeom_widgets.kernels.equivalence.canonical import canonical_form
from netgeom_widgets.kernels.equivalence.elements import Elements
from netgeom_widgets.kernels.equivalence.invariances import (
    Chain,
    chain_at,
    flat_length,
    read_mlp,
    require_same_function,
)
from netgeom_widgets.kernels.equivalence.mlp import MLP
from netgeom_widgets.kernels.equivalence.problem import as_parameters

_N_STARTS = 3  # of an alignment with several hidden layers
_MISSING = (-1, np.nan, np.nan, False, np.nan)  # of an element that is not compared, column by column


@dataclass(frozen=True, eq=False)
class Clusters:
    """Elements sorted into trivial copies; see `element_clusters`.

    Attributes
    ----------
    labels : (n,) int32
        Equal for trivial copies of one another, numbered in the order of their first elements; -1 for elements that
        are no members of the class.
    representatives : (k,) int64
        The first element of each cluster.
    sizes : (k,) int64
    distances, raw_distances : (n,) float64
        From the representative: after alignment, and as the parameters are. NaN for non-members.
    trivial : (n,) bool
        Copies of the reference; all False without one.
    reference_distances : (n,) float64
        From the reference, after alignment; NaN without one and for non-members.
    tolerance : float
    """

    labels: Int32[ndarray, " n"]
    representatives: Int64[ndarray, " k"]
    sizes: Int64[ndarray, " k"]
    distances: Float64[ndarray, " n"]
    raw_distances: Float64[ndarray, " n"]
    trivial: Bool[ndarray, " n"]
    reference_distances: Float64[ndarray, " n"]
    tolerance: float

    def __len__(self) -> int:
        return len(self.representatives)


def cluster_elements(
    model: Any,
    elements: Any,
    *,
    tolerance: float = 1e-6,
    progress: bool | Progress | None = None,
    cancel: Cancel | None = None,
) -> Int32[ndarray, " n"]:
    """One label for all trivial copies: `element_clusters(...).labels`, whose documentation holds here.

    Parameters
    ----------
    model, elements, tolerance, progress, cancel
        As `element_clusters` takes them.

    Returns
    -------
    (n,) int32

    Raises
    ------
    NetgeomError
        As `element_clusters`.
    """
    return element_clusters(model, elements, tolerance=tolerance, progress=progress, cancel=cancel).labels


def element_clusters(
    model: Any,
    elements: Any,
    *,
    tolerance: float = 1e-6,
    reference: Any = None,
    progress: bool | Progress | None = None,
    cancel: Cancel | None = None,
) -> Clusters:
    """Sort elements into sets of images of one another.

    Two elements are trivial copies if their canonical forms, or the nearest image of one and the other, differ by at
    most `tolerance` times the norm.

    Parameters
    ----------
    model : torch.nn.Module
        A chain of linear layers and elementwise activations; not changed.
    elements : Elements or (n, P)
        Of `Elements` only members of the class are compared; of an array, all.
    tolerance : float
        Relative, between 0 and 1. Elements found by a search to R near 1e-20 agree to about 1e-9.
    reference : (P,), optional
        Such as the teacher: says which elements are copies of it.
    progress, cancel
        See `netgeom_widgets.execution`; looked at after every element.

    Returns
    -------
    Clusters
        Each element against the representatives found before it, so the order of the elements matters where distances
        are near the tolerance. Points of one continuous family that no symmetry of this list relates are different:
        `symmetry_generators` and `null_space` say whether there is one.

    Raises
    ------
    UnsupportedModuleError
        Another kind of model.
    NetgeomError
        Parameters that do not fit, a tolerance out of range.

    Notes
    -----
    O(n k P) for k clusters, and an alignment for each pair that sorted norms of incoming and outgoing weights do not
    tell apart.
    """
    if not 0 < tolerance < 1:
        raise NetgeomError("tolerance is out of range", expected="0 < tolerance < 1", got=f"{tolerance!r}")
    mlp = read_mlp(model)
    theta, members = _compared(elements, flat_length(mlp))
    origin = None if reference is None else chain_at(mlp, reference, "reference").theta
    forms = _Forms(mlp, theta, tolerance, origin)
    progress, cancel = as_progress(progress), as_cancel(cancel)
    rows = []
    for i in range(len(theta)):
        cancel.checkpoint()
        rows.append(forms.compare(i))
        progress.update(i + 1, len(theta), "elements compared")
    labels, distances, raw, trivial, from_reference = (
        _spread(column, members, missing)
        for column, missing in zip(zip(*rows, strict=True) if rows else [()] * 5, _MISSING, strict=True)
    )
    return Clusters(
        labels.astype(np.int32),
        np.flatnonzero(members)[forms.representatives],
        np.bincount(labels[members], minlength=len(forms.representatives)).astype(np.int64),
        distances,
        raw,
        trivial,
        from_reference,
        float(tolerance),
    )


def _compared(elements: Any, n_parameters: int) -> tuple[Float64[ndarray, "m P"], Bool[ndarray, " n"]]:
    """Parameters of those that are compared, and which these are."""
    if not isinstance(elements, Elements):
        theta = as_parameters(elements, n_parameters, "elements").numpy()
        return theta, np.ones(len(theta), dtype=bool)
    found = elements.converged
    return as_parameters(found, n_parameters, "elements").numpy() if len(found) else found, elements.is_member


def _spread(column: Any, members: Bool[ndarray, " n"], missing: Any) -> ndarray:
    """A column of the members as one of all elements."""
    found = np.full(len(members), missing)
    found[members] = column
    return found


class _Forms:
    """Canonical forms of elements, compared with those of the representatives found so far."""

    def __init__(
        self, mlp: MLP, theta: Float64[ndarray, "n P"], tolerance: float, origin: Float64[ndarray, " P"] | None
    ) -> None:
        self._mlp, self._theta, self._tolerance, self._origin = mlp, theta, tolerance, origin
        forms = [canonical_form(Chain(mlp, row)) for row in theta]
        self._rows = np.array([form.theta for form in forms]).reshape(theta.shape)
        self._signatures = np.array([_signature(form) for form in forms])
        if forms:
            require_same_function(mlp, theta, self._rows)
        self.representatives: list[int] = []

    def compare(self, i: int) -> tuple[int, float, float, bool, float]:
        """Label, distance from the representative (aligned, raw); whether a copy of the origin, distance from that."""
        label, own = self._label(i), self._theta[i]
        first = self._theta[self.representatives[label]]
        near, raw = self._aligned_distance(first, own), float(np.linalg.norm(own - first))
        if self._origin is None:
            return label, near, raw, False, np.nan
        form = canonical_form(Chain(self._mlp, self._origin))
        trivial = self._first_copy(form.theta, _signature(form), [i]) is not None
        return label, near, raw, trivial, self._aligned_distance(self._origin, own)

    def _label(self, i: int) -> int:
        """Of element i; it becomes the representative of a new one if it is like none."""
        known = self.representatives
        found = self._first_copy(self._rows[i], self._signatures[i], known)
        if found is None:
            known.append(i)
            return len(known) - 1
        return known.index(found)

    def _first_copy(self, row: ndarray, signature: ndarray, among: list[int]) -> int | None:
        """The nearest by canonical form, if near enough; else the first that is so after alignment."""
        if not among:
            return None
        limit = self._tolerance * float(np.linalg.norm(row))
        apart = np.linalg.norm(self._rows[among] - row, axis=1)
        if apart.min() <= limit:
            return among[int(apart.argmin())]
        alike = np.abs(self._signatures[among] - signature).max(axis=1, initial=0.0) <= limit
        for i in np.array(among)[alike].tolist():
            if self._aligned_distance(self._rows[i], row) <= limit:
                return int(i)
        return None

    def _aligned_distance(self, target: Float64[ndarray, " P"], row: Float64[ndarray, " P"]) -> float:
        origin, rng = Chain(self._mlp, target), np.random.default_rng(0)
        return nearest_image(origin, Chain(self._mlp, row), _N_STARTS, rng, self._tolerance).distance(origin)


def _signature(form: Chain) -> Float64[ndarray, " m"]:
    """Sorted norms of rows and columns of the weights: no permutation or sign changes them, and no choice can flip."""
    weights = [form.weight(layer) for layer in range(len(form.mlp.layers))]
    return np.concatenate([np.sort(np.linalg.norm(weight, axis=axis)) for weight in weights for axis in (0, 1)])
