"""What is known of a null space, and directions drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_count
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.equivalence.bases import with_signs
from netgeom_widgets.kernels.equivalence.jacobian_svd import LARGEST_DENSE, most_rows
from netgeom_widgets.kernels.equivalence.matrix_free import Jacobian, projected_off
from netgeom_widgets.kernels.equivalence.network import FlatNetwork

_TOLERANCE = 1e-9  # ||J v|| / (||J|| ||v||) at which the search for a null direction ends
_MAX_STEPS = 1_000
_TIE = 1e-6  # coordinate axes whose parts in the null space are equal but for this share: the first is taken


@dataclass(frozen=True, eq=False, repr=False)
class NullSpace:
    """Null space of the output Jacobian J (N C, P) at one parameter vector; see `null_space`.

    Attributes
    ----------
    dimension : int or None
        P - rank. None where J is too large to be factored: then `bounds` say what is known.
    bounds : (int, int)
        Smallest and largest possible dimension; equal where it is known.
    rank : int or None
        Number of singular values above `threshold`.
    singular_values : (min(P, N C),) float64
        Descending; only the largest ones where `estimated`. With P > N C the other P - N C are zero and not listed.
    threshold : float
        rtol times the largest.
    gap : float
        Smallest kept value over the largest dropped one: above about 1e6 the dimension is beyond doubt. Infinity where
        none is kept or none is dropped (those not listed are exactly zero); NaN where `estimated`.
    half_dimension : int or None
        The dimension on the first half of the samples (N // 2; without samples it is P).
    explained : dict of str to int
        Dimensions by known symmetry ("scaling", "dead unit", "linear group", ...), each counted once, in this order,
        and "unexplained", the rest; without it where `estimated`.
    row_space : (rank, P) float64
        Orthonormal rows, right singular vectors by descending value: the null space is what is orthogonal to them. Only
        the top ones where `estimated`.
    estimated : bool
        P and N C are too large for a factorisation.
    n_samples : int
        Samples on which nothing changes: the null space of these, not of all inputs.
    notes : tuple of str
        What a reader must know, in words.
    settings : dict
    """

    dimension: int | None
    bounds: tuple[int, int]
    rank: int | None
    singular_values: Float64[ndarray, " m"]
    threshold: float
    gap: float
    half_dimension: int | None
    explained: dict[str, int]
    row_space: Float64[ndarray, "r P"]
    estimated: bool
    n_samples: int
    notes: tuple[str, ...]
    settings: dict[str, Any]
    _network: FlatNetwork = field(repr=False)
    _theta: Tensor = field(repr=False)
    _rows: Float64[ndarray, "d P"] | None = field(repr=False, default=None)

    @property
    def stable(self) -> bool | None:
        """Whether half the samples give the same dimension; None where it is not known."""
        return None if self.dimension is None else self.dimension == self.half_dimension

    @property
    def n_parameters(self) -> int:
        """P."""
        return self.row_space.shape[1]

    @cached_property
    def basis(self) -> Float64[ndarray, "dimension P"]:
        """Orthonormal rows, computed on first use.

        Raises
        ------
        TooLargeError
            P^2 numbers do not fit in memory, or the dimension is not known.
        """
        if self.dimension is None:
            raise TooLargeError(
                "The null space is known only by its directions",
                expected=f"at most {LARGEST_DENSE} parameters, or {most_rows(self.n_parameters)} outputs of samples",
                got=f"{self.n_parameters} parameters, {self.n_samples} samples",
                try_this="sample(k), which draws null directions",
            )
        if self._rows is not None:
            return self._rows
        p = self.n_parameters
        require_memory(24 * p * p, "The basis of the null space", "sample(k) or directions(k)")
        complete = torch.linalg.qr(torch.from_numpy(self.row_space.T.copy()), mode="complete").Q
        return with_signs(complete[:, len(self.row_space) :].T.numpy())

    def project(self, vectors: Float64[ndarray, "k P"]) -> Float64[ndarray, "k P"]:
        """The parts of vectors that lie in the null space.

        Where `estimated`, until ||J v|| is below 1e-9 ||J|| ||v|| or 1,000 steps are done for a vector: `residual` says
        what was reached.
        """
        if self.estimated:
            return self._projected_off(vectors, as_progress(None), as_cancel(None))
        for _ in range(2):  # once leaves the rounding errors of what was taken away
            vectors = vectors - (vectors @ self.row_space.T) @ self.row_space
        return vectors

    def sample(
        self,
        k: int,
        seed: int | np.random.Generator = 0,
        *,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Float64[ndarray, "k P"]:
        """Random orthonormal null directions, all equally likely.

        Raises
        ------
        NetgeomError
            More than there are.
        """
        k = self._as_number(k)
        found = np.random.default_rng(seed).standard_normal((k, self.n_parameters))
        if self.estimated:
            found = self._projected_off(found, as_progress(progress), as_cancel(cancel))
        else:  # the last of as many as there are is what little the others leave of it: once is not enough
            found = self.project(np.linalg.qr(self.project(found).T)[0].T)
        return with_signs(np.linalg.qr(found.T)[0].T)

    def directions(self, k: int) -> Float64[ndarray, "k P"]:
        """Orthonormal null directions that depend on the null space alone, not on a basis of it.

        The first is the projection of the coordinate axis (one parameter) that lies nearest to the null space, each
        next one that of the axis nearest to what is left: pivoted Gram-Schmidt of the projector. Equal axes: the first.

        Raises
        ------
        NetgeomError
            More than there are, or `estimated`: then only `sample` draws any.

        Notes
        -----
        O(k P rank).
        """
        k = self._as_number(k)
        if self.estimated:
            raise TooLargeError("The null space is known only by random directions", try_this="sample(k)")
        found = np.empty((k, self.n_parameters))
        left = 1 - np.einsum("rp,rp->p", self.row_space, self.row_space)  # squared length of each axis' projection
        for number in range(k):
            axis = int(np.flatnonzero(left >= (1 - _TIE) * left.max())[0])
            vector = np.zeros(self.n_parameters)
            vector[axis] = 1
            for _ in range(2):
                vector = self.project(vector[None])[0]
                vector = vector - found[:number].T @ (found[:number] @ vector)
                vector /= np.linalg.norm(vector)
            found[number] = vector
            left = left - vector**2
        return with_signs(found)

    def residual(self, directions: Float64[ndarray, "k P"]) -> Float64[ndarray, " k"]:
        """||J v|| / (||J|| ||v||) of directions: about 1e-16 for null ones."""
        directions = np.asarray(directions, dtype=np.float64)
        moved = self._network.jvp(self._theta, torch.from_numpy(directions)).flatten(1).norm(dim=1).numpy()
        scale = self.singular_values[0] if self.singular_values.size and self.singular_values[0] > 0 else 1.0
        return moved / (scale * np.linalg.norm(directions, axis=1))

    def _as_number(self, k: int) -> int:
        most = self.bounds[1]
        if not most:
            raise NetgeomError(
                "There are no null directions", expected="a null space that is not empty",
                got=f"rank {self.rank}, all {self.n_parameters} parameters move the outputs", try_this="top directions",
            )  # fmt: skip
        known = self.dimension is not None
        return as_count(k, 1, most, f"The number of null directions ({'of' if known else 'of at most'} {most})")

    def _projected_off(self, vectors: ndarray, progress: Progress, cancel: Cancel) -> ndarray:
        return projected_off(
            Jacobian(self._network, self._theta, cancel),
            np.asarray(vectors, dtype=np.float64),
            self.row_space,
            norm=float(self.singular_values.max(initial=0)),
            tolerance=_TOLERANCE,
            max_steps=_MAX_STEPS,
            progress=progress,
        )

    def __repr__(self) -> str:
        low, high = self.bounds
        dimension = f"{low}" if low == high else f"{low} to {high}"
        return f"<NullSpace of dimension {dimension} of {self.n_parameters}, {self.n_samples} samples>"
