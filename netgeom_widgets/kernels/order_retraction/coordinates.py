"""Few numbers in place of all weights: which ones, and how much of the runs they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array, as_count

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction.trajectories import Trajectories

_DENSE = 500  # rows or columns up to which all singular vectors are taken; beyond only the leading ones are sought

KINDS = ("largest_spread", "smallest_spread", "pca_final", "pca_all", "pca_displacement")


@dataclass(frozen=True, eq=False)
class Coordinates:
    """An affine map from all dimensions to a few: (values - offset) @ matrix.

    Attributes
    ----------
    matrix : ndarray (P, dims) float64
        Orthonormal columns: unit vectors for chosen weights, principal axes for PCA.
    offset : ndarray (P,) float64
        0 for chosen weights, the mean for PCA.
    names : tuple of str
        What each coordinate is.
    explained : ndarray (dims,) float64
        Share of each coordinate in the variance over runs, of the final values, or of what the PCA was taken of; 0
        where nothing varies.
    kind : str
        How they were chosen: one of `choose_coordinates`, or ``"named"``.
    """

    matrix: Float64[ndarray, "P dims"]
    offset: Float64[ndarray, " P"]
    names: tuple[str, ...]
    explained: Float64[ndarray, " dims"]
    kind: str

    def apply(self, values: Any) -> Float64[ndarray, "... dims"]:
        """Coordinates (..., dims) of points (..., P).

        Raises
        ------
        NetgeomError
            Another number of dimensions.
        """
        array = as_array(values, "values").astype(np.float64)
        if not array.ndim or array.shape[-1] != len(self.offset):
            raise NetgeomError(
                "The values do not fit the coordinates", expected=f"(..., {len(self.offset)})", got=f"{array.shape}"
            )
        if self.kind.startswith("pca"):
            return (array - self.offset) @ self.matrix
        return array[..., self.matrix.argmax(0)]  # a product with unit vectors would spread NaN over all coordinates


def choose_coordinates(
    trajectories: Trajectories,
    kind: str | Sequence[str | int] = "largest_spread",
    dims: int = 2,
    *,
    exclude: Sequence[str] = ("*bias*",),
) -> Coordinates:
    """A few coordinates in which to look at the runs.

    Parameters
    ----------
    trajectories : Trajectories (runs, times, P)
    kind : str, or names or positions of dimensions
        ``"largest_spread"`` and ``"smallest_spread"``: the weights whose final values have the largest (smallest)
        standard deviation over the runs, in ascending order, so that the last axis has the largest of those chosen (the
        rule of DOODL3; of equal ones the first). ``"pca_final"``, ``"pca_all"``, ``"pca_displacement"``: principal axes
        of the final values, of all values, of final minus first values; largest entry positive. Otherwise the
        dimensions themselves, in the order given.
    dims : int
        How many; not used where they are named.
    exclude : patterns of names
        Dimensions that the two rules on spread leave out; DOODL3 leaves out biases. () for none.

    Returns
    -------
    Coordinates

    Raises
    ------
    NetgeomError
        Unknown names, fewer dimensions or runs than asked for, values that are not finite where they are needed.

    Notes
    -----
    A few coordinates of many weights are not autonomous: where a run goes may depend on what they leave out. The
    closure defect of `fit_map` says how much.
    """
    runs, _, size = trajectories.values.shape
    if not isinstance(kind, str):
        return _chosen(trajectories, _named(trajectories, kind), "named")
    if kind not in KINDS:
        if kind in trajectories.names:
            return _chosen(trajectories, _named(trajectories, [kind]), "named")
        raise NetgeomError("kind is not known", expected=f"{', '.join(KINDS)}, or a list of names", got=repr(kind))
    as_count(dims, 1, size, "dims")
    if runs < 2 and kind != "pca_all":
        raise NetgeomError(
            "One run has no spread", expected="at least 2 runs", got="1", try_this="kind=[...] with names of dimensions"
        )
    if kind.startswith("pca"):
        return _principal(trajectories, kind, dims)
    return _chosen(trajectories, _by_spread(trajectories, kind, dims, exclude), kind)


def domain(*points: Any, margin: float = 0.5) -> tuple[Float64[ndarray, " dims"], Float64[ndarray, " dims"]]:
    """The box around points: smallest coordinate minus margin, largest plus margin, on each axis (as in DOODL3).

    Parameters
    ----------
    *points : (M, dims) arrays
        For a map the starts and the ends.
    margin : float
        In the units of the coordinates.

    Returns
    -------
    lower, upper : (dims,) float64

    Raises
    ------
    NetgeomError
        No points, values that are not finite, or a box without volume.
    """
    arrays = [as_array(value, "points").astype(np.float64) for value in points]
    if not arrays or any(a.ndim != 2 or a.shape[1:] != arrays[0].shape[1:] for a in arrays):
        shapes = ", ".join(str(a.shape) for a in arrays) or "none"
        raise NetgeomError("The points do not fit each other", expected="arrays (M, dims)", got=shapes)
    together = np.concatenate(arrays)
    if not together.size or not np.isfinite(together).all():
        raise NetgeomError("A domain needs finite points", expected="at least one", got="none, or NaN or infinity")
    lower, upper = together.min(0) - margin, together.max(0) + margin
    if not (lower < upper).all():
        raise NetgeomError(
            "The domain has no volume", expected="lower < upper on each axis", got=f"margin {margin:g}", try_this="0.5"
        )
    return lower, upper


def _by_spread(trajectories: Trajectories, kind: str, dims: int, exclude: Sequence[str]) -> Int64[ndarray, " dims"]:
    """Positions of the dimensions with the largest or smallest spread, ascending."""
    patterns = [exclude] if isinstance(exclude, str) else list(exclude)
    allowed = [i for i, name in enumerate(trajectories.names) if not any(fnmatchcase(name, p) for p in patterns)]
    if len(allowed) < dims:
        raise NetgeomError(
            "Too few dimensions are left",
            expected=f"at least {dims}",
            got=f"{len(allowed)} of {len(trajectories.names)} whose names do not match {', '.join(patterns)}",
            try_this="exclude=()",
        )
    spread = _finite(trajectories.values[:, -1, allowed], "final values").std(0)
    order = np.argsort(spread if kind == "smallest_spread" else -spread, kind="stable")[:dims]
    found: Int64[ndarray, " dims"] = np.array(allowed)[order if kind == "smallest_spread" else order[::-1]]
    return found


def _named(trajectories: Trajectories, wanted: Sequence[str | int]) -> Int64[ndarray, " dims"]:
    places = []
    for item in wanted:
        if isinstance(item, str):
            found = [i for i, name in enumerate(trajectories.names) if name == item]
        else:
            found = [int(item)] if not isinstance(item, bool) and 0 <= item < len(trajectories.names) else []
        if len(found) != 1:
            raise NetgeomError(
                f"There is no dimension {item!r}" if not found else f"{item!r} is the name of several dimensions",
                expected=f"names as {', '.join(trajectories.names[:4])}, or 0 to {len(trajectories.names) - 1}",
                got=repr(item),
            )
        places += found
    if not places or len(set(places)) < len(places):
        raise NetgeomError("Coordinates must differ", expected="distinct dimensions, at least one", got=f"{wanted!r}")
    return np.array(places)


def _chosen(trajectories: Trajectories, places: Int64[ndarray, " dims"], kind: str) -> Coordinates:
    size = trajectories.values.shape[2]
    matrix = np.zeros((size, len(places)))
    matrix[places, np.arange(len(places))] = 1.0
    variance = np.nan_to_num(trajectories.values[:, -1]).var(0)
    total = variance.sum()
    return Coordinates(
        matrix=matrix,
        offset=np.zeros(size),
        names=tuple(trajectories.names[i] for i in places),
        explained=variance[places] / total if total > 0 else np.zeros(len(places)),
        kind=kind,
    )


def _principal(trajectories: Trajectories, kind: str, dims: int) -> Coordinates:
    values = trajectories.values
    cloud = {
        "pca_final": lambda: values[:, -1],
        "pca_all": lambda: values.reshape(-1, values.shape[2]),
        "pca_displacement": lambda: values[:, -1] - values[:, 0],
    }[kind]()
    cloud = _finite(cloud, "values of the PCA")
    centred = cloud - cloud.mean(0)
    if dims > min(centred.shape):
        raise NetgeomError("There are fewer principal axes", expected=f"dims up to {min(centred.shape)}", got=f"{dims}")
    singular, axes = _leading_axes(centred, dims)
    axes = axes * np.sign(axes[np.arange(dims), np.abs(axes).argmax(1)])[:, None]
    total = float((centred**2).sum())
    offset = _finite(values[:, -1], "final values").mean(0) if kind == "pca_displacement" else cloud.mean(0)
    return Coordinates(
        matrix=np.ascontiguousarray(axes.T),
        offset=offset,
        names=tuple(f"{_PCA_NAMES[kind]} {i + 1}" for i in range(dims)),
        explained=singular**2 / total if total > 0 else np.zeros(dims),
        kind=kind,
    )


def _leading_axes(
    centred: Float64[ndarray, "n P"], dims: int
) -> tuple[Float64[ndarray, " dims"], Float64[ndarray, "dims P"]]:
    """The largest singular values and their right singular vectors, as rows."""
    if min(centred.shape) <= _DENSE or dims >= min(centred.shape):
        _, singular, axes = np.linalg.svd(centred, full_matrices=False)
        return singular[:dims], axes[:dims]
    from scipy.sparse.linalg import svds

    start = np.random.default_rng(0).standard_normal(min(centred.shape))  # as any, but the same every time
    _, singular, axes = svds(centred, k=dims, v0=start)
    return singular[::-1].copy(), axes[::-1].copy()


_PCA_NAMES = {"pca_final": "PC of final", "pca_all": "PC of all", "pca_displacement": "PC of displacement"}


def _finite(values: Float64[ndarray, ...], what: str) -> Float64[ndarray, ...]:
    if not np.isfinite(values).all():
        raise NetgeomError(
            f"The {what} are not all finite",
            expected="finite numbers",
            got=f"{int((~np.isfinite(values)).sum())} NaN or infinite of {values.size}",
            try_this="trajectories(..., runs=[...]) without the runs that diverged",
        )
    return values
