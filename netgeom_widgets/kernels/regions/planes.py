"""Planes chosen from data and moved about: principal components, central samples, one motion of a slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
from jaxtyping import Float, Int
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.regions.slices import Slice

# Share of the largest principal variance below which a further one is rounding of the sums that gave it.
_NO_VARIANCE = 1e-13
# Up to this many inputs or entries a dense decomposition is faster than Lanczos iterations.
_DENSE = 2000
# A plane or a direction is chosen by at most so many samples, a seeded choice: it is a first guess, moved by hand.
_MOST_SAMPLES = 5000


@dataclass(frozen=True, eq=False)
class Components:
    """Directions in which inputs vary most.

    Attributes
    ----------
    points : (N, k) float64
        Coordinates of the inputs along the directions, from the mean.
    directions : (k, *input shape) float64
        Orthonormal; of each the entry largest in magnitude is positive. Zero where nothing varies any more.
    shares : (k,) float64
        Part of the variance along each.
    """

    points: Float[ndarray, "N k"]
    directions: ndarray
    shares: Float[ndarray, " k"]


@dataclass(frozen=True)
class Motion:
    """How a slice is moved from where it was; the default moves nothing.

    Attributes
    ----------
    turn : float
        Degrees by which u turns towards v about the centre, the polygon with it.
    tilt : float
        Degrees by which the turned v then leaves the plane towards a normal w.
    shift_s, shift_t : float
        How far the polygon then moves along the new u and v, in its own width and height.
    shift_w : float
        How far the plane moves off along its normal, which the tilt has turned too, in the polygon's longer side.
    size : float
        Factor by which the polygon grows about its centre.
    """

    turn: float = 0.0
    tilt: float = 0.0
    shift_s: float = 0.0
    shift_t: float = 0.0
    shift_w: float = 0.0
    size: float = 1.0

    @property
    def leaves_plane(self) -> bool:
        """Whether it needs a third direction."""
        return self.tilt != 0 or self.shift_w != 0

    def moved(self, domain: Slice, normal: ndarray | None = None) -> Slice:
        """A slice after this motion; the very slice where it moves nothing.

        Parameters
        ----------
        domain : Slice
        normal : array shaped like one input, optional
            The third direction w; its part orthogonal to the plane counts. Needed for `tilt` and `shift_w`.

        Raises
        ------
        NetgeomError
            When w is needed and there is none, as with two inputs.
        """
        if self == Motion():
            return domain
        if self.leaves_plane and (normal is None or domain.u.size < 3):
            raise NetgeomError("The plane cannot be left.", expected="inputs of at least three numbers")
        width, height = np.ptp(domain.polygon, axis=0).tolist()
        longer = max(width * float(np.linalg.norm(domain.u)), height * float(np.linalg.norm(domain.v)))
        moved = domain.turned(self.turn) if self.turn else domain
        if self.leaves_plane:
            before, angle = moved, np.deg2rad(self.tilt)
            w = before.normal(normal)
            moved = before.tilted(self.tilt, w)
            # w turns as v does, so that it stays orthogonal to the plane
            w = np.cos(angle) * w - np.sin(angle) * before.v / np.linalg.norm(before.v)
            moved = moved.lifted(self.shift_w * longer, w)
        return moved.shifted(self.shift_s * width, self.shift_t * height).scaled(self.size)


def principal_components(inputs: Any, k: int) -> Components:
    """The k directions of greatest variance of N inputs (Pearson 1901).

    Parameters
    ----------
    inputs : array (N, *input shape)
    k : int
        At most min(N, number of entries of an input).

    Raises
    ------
    NetgeomError
        Too few inputs, entries that are not finite; `TooLargeError` when they would not fit in float64.

    Notes
    -----
    Exact to float64 rounding; variances below 1e-13 of the largest count as zero. With n = min(N, D) for D entries up
    to 2000 one symmetric eigenproblem, O(N D n + n^3); above, implicitly restarted Lanczos (ARPACK) to full precision
    from a fixed start, O(N D) per iteration.
    """
    flat = _flat(inputs)
    n, d = flat.shape
    if not 1 <= k <= min(n, d):
        raise NetgeomError("There are not that many components.", expected=f"1 to {min(n, d)}", got=str(k))
    require_memory(8 * (2 * n * d + 3 * min(n, d, _DENSE) ** 2), "The principal components", "fewer samples")
    centred = flat - flat.mean(0)
    total = float(np.einsum("ij,ij->", centred, centred))
    values, directions = _dense_components(centred, k) if min(n, d) <= max(_DENSE, k) else _lanczos(centred, k)
    exists = values > _NO_VARIANCE * max(values[0], np.finfo(float).tiny)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = np.where(exists[:, None], directions / np.where(lengths > 0, lengths, 1), 0.0)
    largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1)
    directions *= np.where(largest < 0, -1.0, 1.0)
    shares = np.where(exists, values, 0.0) / total if total > 0 else np.zeros(k)
    return Components(centred @ directions.T, directions.reshape(k, *np.shape(inputs)[1:]), shares)


def _dense_components(centred: Float[ndarray, "N D"], k: int) -> tuple[Float[ndarray, " k"], Float[ndarray, "k D"]]:
    """Greatest eigenvalues of the smaller Gram matrix, and the directions, not of unit length."""
    n, d = centred.shape
    small = centred @ centred.T if n < d else centred.T @ centred
    values, vectors = scipy.linalg.eigh(small, subset_by_index=[len(small) - k, len(small) - 1])
    directions = (centred.T @ vectors if n < d else vectors).T
    return values[::-1].clip(0), directions[::-1]


def _lanczos(centred: Float[ndarray, "N D"], k: int) -> tuple[Float[ndarray, " k"], Float[ndarray, "k D"]]:
    """The same for large matrices."""
    start = np.random.default_rng(0).standard_normal(min(centred.shape))
    _, lengths, directions = scipy.sparse.linalg.svds(centred, k, v0=start, tol=0, solver="arpack")
    order = np.argsort(-lengths)
    return lengths[order] ** 2, directions[order]


def normal_direction(domain: Slice, inputs: Any = None, *, seed: int = 0) -> ndarray:
    """A unit vector w orthogonal to a plane: where inputs vary most outside of it, else a seeded random one.

    Parameters
    ----------
    domain : Slice
        Of inputs with at least three entries.
    inputs : array (N, *input shape), optional
        The first principal component of their offsets from the plane is taken, of 5,000 of them where there are more;
        without inputs, or when all lie in the plane, a standard normal vector of ``seed``, made orthogonal.

    Raises
    ------
    NetgeomError
        For inputs of two entries, whose plane leaves no third direction.
    """
    if domain.u.size < 3:
        raise NetgeomError("There is no third direction.", expected="inputs of at least three numbers")
    if inputs is not None and len(inputs) > 1:
        flat = _flat(np.asarray(inputs)[_some(len(inputs))])
        frame = np.linalg.qr(domain.basis)[0]
        offsets = flat - domain.origin.ravel()
        rest = offsets - (offsets @ frame) @ frame.T
        if np.abs(rest - rest.mean(0)).max() > 1e-9 * max(np.abs(offsets).max(), np.abs(domain.origin).max()):
            return domain.normal(principal_components(rest, 1).directions[0].reshape(domain.u.shape))
    return domain.normal(np.random.default_rng(seed).normal(size=domain.u.shape))


def box_around(inputs: Any, margin: float = 0.15) -> Slice:
    """The rectangle around inputs of two numbers, ``margin`` of its longer side wider on each side.

    A side without extent is as long as the margins make it; around a single point it is a square of side 2.
    """
    flat = _flat(inputs)
    if flat.shape[1] != 2:
        raise NetgeomError("A box needs inputs of two numbers.", expected="(N, 2)", got=f"{np.shape(inputs)}")
    low, high = flat.min(0), flat.max(0)
    extent = float((high - low).max())
    pad = margin * extent if extent > 0 else 1.0
    return box_of((low[0] - pad, high[0] + pad, low[1] - pad, high[1] + pad), np.shape(inputs)[1:])


def box_of(bounds: tuple[float, float, float, float], shape: tuple[int, ...] = (2,)) -> Slice:
    """The rectangle (xmin, xmax, ymin, ymax) for inputs of two numbers in any shape."""
    box = Slice.box(*bounds)
    return Slice(box.origin.reshape(shape), box.u.reshape(shape), box.v.reshape(shape), box.polygon)


def bounds_of(domain: Slice) -> tuple[float, float, float, float] | None:
    """The bounds of a slice that :func:`box_of` makes; None for any other."""
    corners = domain.polygon
    (xmin, ymin), (xmax, ymax) = corners.min(0).tolist(), corners.max(0).tolist()
    upright = domain.u.size == 2 and not domain.origin.any() and np.array_equal(domain.basis, np.eye(2))
    at_ends = np.isin(corners[:, 0], (xmin, xmax)) & np.isin(corners[:, 1], (ymin, ymax))
    return (xmin, xmax, ymin, ymax) if upright and len(corners) == 4 and at_ends.all() else None


def central_samples(inputs: Any) -> tuple[int, int, int]:
    """Three samples that span a plane, each in the middle of a part of the data; the same ones at every call.

    The first is nearest to the mean, the second farthest from it, the third farthest from the line through both (in
    the manner of Gonzalez 1985); each then gives way to the sample nearest to the mean of those nearest to it (one step
    of k-medoids), unless the three come to lie on a line. Ties go to the smaller id. Of more than 5,000 samples
    a seeded choice of that many is looked at. O(N D).

    Raises
    ------
    NetgeomError
        When there are no three samples that span a plane.
    """
    ids = _some(len(inputs))
    flat = _flat(np.asarray(inputs)[ids])
    if len(flat) >= 3:
        flat = flat - flat.mean(0)
        first = int(_distances(flat, np.zeros(flat.shape[1])).argmin())
        second = int(_distances(flat, flat[first]).argmax())
        third = int(_off_line(flat, flat[first], flat[second]).argmax())
        seeds = (first, second, third)
        nearest = np.stack([_distances(flat, flat[i]) for i in seeds]).argmin(0)
        medoids = [_nearest_to_mean(flat, np.flatnonzero(nearest == part)) for part in range(3)]
        for chosen in (medoids, seeds):
            a, b, c = chosen
            if len({a, b, c}) == 3 and _span(flat[a], flat[b], flat[c]):
                return int(ids[a]), int(ids[b]), int(ids[c])
    raise NetgeomError(
        "No three samples span a plane.",
        expected="at least three samples that do not lie on a line",
        got=f"{len(flat)} samples",
        try_this="domain=Slice.around(...)",
    )


def _some(n: int) -> Int[ndarray, " M"]:
    """Ids of the samples looked at, ascending: all, or a seeded choice."""
    if n <= _MOST_SAMPLES:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, _MOST_SAMPLES, replace=False))


def _flat(inputs: Any) -> Float[ndarray, "N D"]:
    array = np.asarray(inputs, dtype=np.float64)
    if array.ndim < 2 or not array.size:
        raise NetgeomError("There are no inputs.", expected="an array (N, *input shape)", got=f"{array.shape}")
    if not np.isfinite(array).all():
        raise NetgeomError("The inputs have entries that are not finite.", expected="finite numbers")
    return array.reshape(len(array), -1)


def _distances(flat: Float[ndarray, "N D"], point: Float[ndarray, " D"]) -> Float[ndarray, " N"]:
    """Squared distances to a point, by one pass over the rows; good to rounding of the rows' own lengths."""
    return (np.einsum("ij,ij->i", flat, flat) - 2 * flat @ point + point @ point).clip(0)


def _off_line(flat: Float[ndarray, "N D"], a: Float[ndarray, " D"], b: Float[ndarray, " D"]) -> Float[ndarray, " N"]:
    """Squared distance of each row from the line through a and b; from a where they coincide."""
    along = b - a
    length = np.linalg.norm(along)
    along = along / length if length > 0 else along
    return (_distances(flat, a) - ((flat - a) @ along) ** 2).clip(0)


def _nearest_to_mean(flat: Float[ndarray, "N D"], rows: Int[ndarray, " M"]) -> int:
    return int(rows[_distances(flat[rows], flat[rows].mean(0)).argmin()]) if len(rows) else -1


def _span(a: Float[ndarray, " D"], b: Float[ndarray, " D"], c: Float[ndarray, " D"]) -> bool:
    try:
        Slice.through(a, b, c)
    except NetgeomError:
        return False
    return True
