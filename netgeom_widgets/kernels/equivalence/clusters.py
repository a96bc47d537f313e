"""Which elements of a class are images of one another under the symmetries of the network, and which are new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
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


def cluster_elements(model: Any, elements: Any, *, tolerance: float = 1e-6) -> Int32[ndarray, " n"]:
    """One label for all trivial copies: `element_clusters(...).labels`."""
    return element_clusters(model, elements, tolerance=tolerance).labels


def element_clusters(model: Any, elements: Any, *, tolerance: float = 1e-6, reference: Any = None) -> Clusters:
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
    given = elements.parameters if isinstance(elements, Elements) else elements
    members = elements.is_member if isinstance(elements, Elements) else np.ones(len(np.atleast_2d(given)), dtype=bool)
    labels, distances, raw, from_reference = (np.full(len(members), value) for value in (-1.0, np.nan, np.nan, np.nan))
    trivial = np.zeros(len(members), dtype=bool)
    numbers = np.flatnonzero(members)
    if numbers.size:
        theta = as_parameters(np.atleast_2d(given)[members], flat_length(mlp), "elements").numpy()
        forms = _Forms(mlp, theta, tolerance)
        for i, number in enumerate(numbers.tolist()):
            labels[number] = forms.label(i)
            first = theta[forms.representatives[int(labels[number])]]
            distances[number] = _aligned_distance(mlp, first, theta[i])
            raw[number] = np.linalg.norm(theta[i] - first)
        if reference is not None:
            origin = chain_at(mlp, reference, "reference").theta
            trivial[members] = forms.copies_of(origin)
            from_reference[members] = [_aligned_distance(mlp, origin, row) for row in theta]
    found = labels.astype(np.int32)
    firsts = np.array([numbers[i] for i in forms.representatives] if numbers.size else [], dtype=np.int64)
    sizes = np.bincount(found[found >= 0], minlength=len(firsts)).astype(np.int64)
    return Clusters(found, firsts, sizes, distances, raw, trivial, from_reference, float(tolerance))


class _Forms:
    """Canonical forms of elements, compared with those of the representatives found so far."""

    def __init__(self, mlp: MLP, theta: Float64[ndarray, "n P"], tolerance: float) -> None:
        self._mlp, self._tolerance = mlp, tolerance
        self._rows = np.stack([canonical_form(Chain(mlp, row)).theta for row in theta])
        require_same_function(mlp, theta, self._rows)
        self._signatures = np.stack([_signature(Chain(mlp, row)) for row in self._rows])
        self.representatives: list[int] = []

    def label(self, i: int) -> int:
        """Of element i; it becomes the representative of a new one if it is like none."""
        known = self.representatives
        found = self._first_copy(self._rows[i], self._signatures[i], known)
        if found is None:
            known.append(i)
            return len(known) - 1
        return known.index(found)

    def copies_of(self, origin: Float64[ndarray, " P"]) -> Bool[ndarray, " n"]:
        """Which elements are copies of another vector."""
        form = canonical_form(Chain(self._mlp, origin))
        signature = _signature(form)
        return np.array([self._first_copy(form.theta, signature, [i]) is not None for i in range(len(self._rows))])

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
            if _aligned_distance(self._mlp, self._rows[i], row) <= limit:
                return int(i)
        return None


def _signature(form: Chain) -> Float64[ndarray, " m"]:
    """Sorted norms of rows and columns of the weights: no permutation or sign changes them, and no choice can flip."""
    weights = [form.weight(layer) for layer in range(len(form.mlp.layers))]
    return np.concatenate([np.sort(np.linalg.norm(weight, axis=axis)) for weight in weights for axis in (0, 1)])


def _aligned_distance(mlp: MLP, target: ndarray, row: ndarray) -> float:
    origin = Chain(mlp, target)
    return nearest_image(origin, Chain(mlp, row), _N_STARTS, np.random.default_rng(0)).distance(origin)
