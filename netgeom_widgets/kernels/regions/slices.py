"""A two-dimensional convex slice of a network's input space."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError

# Relative size below which a direction, an angle or an area is rounding noise of float64 arithmetic on the corners.
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Slice:
    """A convex polygon in a plane of input space: the point (s, t) is the input ``origin + s*u + t*v``.

    Parameters
    ----------
    origin, u, v : array
        Shaped like ONE input (no batch axis); u and v linearly independent. With u, v orthonormal (as the constructors
        below make them) lengths, areas and slopes in (s, t) are those of input space; with a hand-made oblique pair
        they are in (s, t).
    polygon : array
        (K, 2) corners in slice coordinates, convex, either orientation, first corner not repeated.

    Raises
    ------
    NetgeomError
        Not finite, shapes that differ, dependent directions, a polygon that is not convex or has no area.
    """

    origin: ndarray
    u: ndarray
    v: ndarray
    polygon: Float[ndarray, "K 2"]

    def __post_init__(self) -> None:
        """Check and bring to float64, the polygon counter-clockwise."""
        for name in ("origin", "u", "v", "polygon"):
            object.__setattr__(self, name, _float64(getattr(self, name), name))
        if not (self.origin.shape == self.u.shape == self.v.shape) or self.origin.size < 2:
            raise NetgeomError(
                "origin, u and v must be shaped like one input of at least two numbers",
                expected="three equal shapes without a batch axis",
                got=f"{self.origin.shape}, {self.u.shape}, {self.v.shape}",
            )
        u, v = self.u.ravel(), self.v.ravel()
        uu, vv, uv = u @ u, v @ v, u @ v
        if not uu * vv - uv * uv > _NEGLIGIBLE * uu * vv:
            raise NetgeomError(
                "The directions u and v are linearly dependent", expected="two directions that span a plane"
            )
        object.__setattr__(self, "polygon", _convex(self.polygon))

    @classmethod
    def box(cls, xmin: float, xmax: float, ymin: float, ymax: float) -> Slice:
        """The rectangle itself, for networks with two inputs."""
        if not (xmax > xmin and ymax > ymin):
            raise NetgeomError(
                "The box is empty", expected="xmin < xmax and ymin < ymax", got=f"{xmin, xmax, ymin, ymax}"
            )
        corners = [(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)]
        return cls(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array(corners, dtype=np.float64))

    @classmethod
    def through(cls, a: Any, b: Any, c: Any, margin: float = 0.25) -> Slice:
        """The plane of three inputs, seen in a square around them.

        u, v are the Gram-Schmidt orthonormalised b-a and c-a, the origin is the mean of the three; the square is
        centred on their bounding box and ``margin`` of its longer side wider on each side.
        """
        a, b, c = (_float64(x, name) for x, name in ((a, "a"), (b, "b"), (c, "c")))
        if not a.shape == b.shape == c.shape:
            raise NetgeomError(
                "The three inputs differ in shape",
                expected="three equal shapes",
                got=f"{a.shape}, {b.shape}, {c.shape}",
            )
        u, v = _orthonormal(b - a, c - a)
        origin = (a + b + c) / 3
        points = np.array([[(x - origin).ravel() @ u.ravel(), (x - origin).ravel() @ v.ravel()] for x in (a, b, c)])
        low, high = points.min(0), points.max(0)
        half = (high - low).max() * (0.5 + float(margin))
        return cls(origin, u, v, _square((low + high) / 2, half))

    @classmethod
    def around(cls, center: Any, u: Any, v: Any, radius: float) -> Slice:
        """The square of half-side ``radius`` around an input, in the plane of two directions (orthonormalised)."""
        center = _float64(center, "center")
        if not float(radius) > 0:
            raise NetgeomError("The radius must be positive", got=f"{radius}")
        return cls(center, *_orthonormal(_float64(u, "u"), _float64(v, "v")), _square(np.zeros(2), float(radius)))

    def with_polygon(self, polygon: Any) -> Slice:
        """Another polygon in the same plane."""
        return Slice(self.origin, self.u, self.v, polygon)

    def turned(self, degrees: float) -> Slice:
        """The same plane, u turned towards v about the centre, and the polygon along with it; for orthonormal u, v."""
        cos, sin = _cos_sin(degrees)
        return self._with_frame(cos * self.u + sin * self.v, cos * self.v - sin * self.u)

    def tilted(self, degrees: float, direction: Any) -> Slice:
        """The plane rotated about the line through the centre along u: v turns towards ``direction``, |v| stays.

        Of ``direction``, shaped like one input, the part orthogonal to u and v counts; 90 degrees put v along it.
        """
        cos, sin = _cos_sin(degrees)
        return self._with_frame(self.u, cos * self.v + sin * np.linalg.norm(self.v) * self.normal(direction))

    def shifted(self, s: float, t: float) -> Slice:
        """The polygon moved within the plane, in slice coordinates."""
        return self.with_polygon(self.polygon + np.array([float(s), float(t)]))

    def lifted(self, distance: float, direction: Any) -> Slice:
        """The plane moved off itself by a distance in input units, along the part of a direction orthogonal to it."""
        return Slice(self.origin + float(distance) * self.normal(direction), self.u, self.v, self.polygon)

    def scaled(self, factor: float) -> Slice:
        """The polygon made larger (above 1) or smaller about the centre."""
        if not factor > 0:
            raise NetgeomError("The factor must be positive", got=f"{factor}")
        return self.with_polygon(self.centre + float(factor) * (self.polygon - self.centre))

    def normal(self, direction: Any) -> ndarray:
        """The part of a direction that is orthogonal to u and v, at unit length.

        Raises
        ------
        NetgeomError
            When the direction lies in the plane, or does not have the shape of one input.
        """
        direction = _float64(direction, "direction")
        if direction.shape != self.u.shape:
            raise NetgeomError(
                "The direction does not fit the slice", expected=f"{self.u.shape}", got=f"{direction.shape}"
            )
        frame = np.linalg.qr(self.basis)[0]
        rest = direction.ravel()
        for _ in range(2):  # twice: the first pass leaves rounding in the plane when little is orthogonal to it
            rest = rest - frame @ (frame.T @ rest)
        length = np.linalg.norm(rest)
        if not length > np.sqrt(_NEGLIGIBLE) * np.linalg.norm(direction):
            raise NetgeomError("The direction lies in the plane", expected="a direction that leads out of it")
        return (rest / length).reshape(self.u.shape)

    @property
    def centre(self) -> Float[ndarray, " 2"]:
        """Middle of the polygon's bounding box, in slice coordinates: what stays where the plane turns."""
        return (self.polygon.min(0) + self.polygon.max(0)) / 2

    @cached_property
    def digest(self) -> str:
        """Of the four arrays; slices of equal numbers are equal."""
        arrays = (self.origin, self.u, self.v, self.polygon)
        shapes = repr([array.shape for array in arrays]).encode()
        return sha256(shapes + b"".join(array.tobytes() for array in arrays)).hexdigest()

    def _with_frame(self, u: ndarray, v: ndarray) -> Slice:
        """Other directions, the polygon's numbers and the input at its centre as they are."""
        s, t = self.centre
        return Slice(self.origin + s * (self.u - u) + t * (self.v - v), u, v, self.polygon)

    @property
    def area(self) -> float:
        """Area of the polygon in slice coordinates."""
        return float(_signed_area(self.polygon))

    @property
    def metric(self) -> bool:
        """Whether u and v are orthonormal, so that slice lengths are input-space lengths."""
        basis = self.basis
        return bool(np.abs(basis.T @ basis - np.eye(2)).max() < 1e-9)

    @property
    def basis(self) -> Float[ndarray, "D 2"]:
        """The flattened directions as columns."""
        return np.stack([self.u.ravel(), self.v.ravel()], 1)

    def to_input(self, points: Any) -> ndarray:
        """(M, 2) slice coordinates -> (M, *input shape)."""
        points = _points(points)
        return (self.origin.ravel() + points @ self.basis.T).reshape(len(points), *self.origin.shape)

    def to_slice(self, inputs: Any) -> tuple[Float[ndarray, "M 2"], Float[ndarray, " M"]]:
        """(M, *input shape) -> coordinates (M, 2) of the orthogonal projection and the distance (M,) to the plane."""
        inputs = _float64(inputs, "inputs")
        if inputs.shape[1:] != self.origin.shape:
            raise NetgeomError(
                "The inputs do not fit the slice",
                expected=f"(M, {', '.join(map(str, self.origin.shape))})",
                got=f"{inputs.shape}",
            )
        offset = inputs.reshape(len(inputs), -1) - self.origin.ravel()
        points = offset @ np.linalg.pinv(self.basis).T
        return points, np.linalg.norm(offset - points @ self.basis.T, axis=1)

    def sample(self, n: int, *, seed: int | np.random.Generator = 0) -> Float[ndarray, "n 2"]:
        """(n, 2) slice coordinates of points uniform in the polygon."""
        if n < 0:
            raise NetgeomError("The number of points must not be negative", got=f"{n}")
        rng = np.random.default_rng(seed)
        first, sides = self.polygon[0], self.polygon[1:] - self.polygon[0]  # triangles about the first corner
        doubled = sides[:-1, 0] * sides[1:, 1] - sides[:-1, 1] * sides[1:, 0]
        chosen = rng.choice(len(doubled), n, p=doubled / doubled.sum())
        weights = rng.random((n, 2))
        weights = np.where(weights.sum(1, keepdims=True) > 1, 1 - weights, weights)
        return first + weights[:, :1] * sides[chosen] + weights[:, 1:] * sides[chosen + 1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slice) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        """One line."""
        shape = "x".join(map(str, self.origin.shape))
        return f"<Slice of {shape} inputs, {len(self.polygon)} corners, area {self.area:.6g}>"


def _float64(values: Any, name: str) -> ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().to("cpu", torch.float64).numpy()
    try:
        array = np.array(values)
        array = array.astype(np.float64, casting="unsafe" if array.dtype.kind in "biuf" else "safe", copy=False)
    except (TypeError, ValueError) as error:
        raise NetgeomError(f"{name} is not an array of real numbers", got=type(values).__name__) from error
    if not np.isfinite(array).all():
        raise NetgeomError(f"{name} has entries that are not finite", expected="finite numbers")
    return array


def _points(points: Any) -> Float[ndarray, "M 2"]:
    points = _float64(points, "points")
    if points.ndim != 2 or points.shape[1] != 2:
        raise NetgeomError("The points are not slice coordinates", expected="an array (M, 2)", got=f"{points.shape}")
    return points


def _orthonormal(first: ndarray, second: ndarray) -> tuple[ndarray, ndarray]:
    if first.shape != second.shape:
        raise NetgeomError(
            "The two directions differ in shape", expected="equal shapes", got=f"{first.shape}, {second.shape}"
        )
    a, b = first.ravel(), second.ravel()
    length, other = np.linalg.norm(a), np.linalg.norm(b)
    if length > 0:
        a = a / length
        b = b - (a @ b) * a
        b = b - (a @ b) * a  # twice: the first pass leaves rounding along a when the two are nearly parallel
    if not (length > 0 and np.linalg.norm(b) > np.sqrt(_NEGLIGIBLE) * other):
        raise NetgeomError(
            "The three inputs or two directions do not span a plane", expected="linearly independent differences"
        )
    return a.reshape(first.shape), (b / np.linalg.norm(b)).reshape(first.shape)


def _cos_sin(degrees: float) -> tuple[float, float]:
    """Cosine and sine, exact at right angles."""
    if not np.isfinite(degrees):
        raise NetgeomError("The angle is not finite", expected="degrees", got=f"{degrees}")
    quarters, rest = divmod(float(degrees), 90.0)
    cos, sin = float(np.cos(np.deg2rad(rest))), float(np.sin(np.deg2rad(rest)))
    for _ in range(int(quarters) % 4):
        cos, sin = -sin, cos
    return cos, sin


def _square(centre: ndarray, half: float) -> ndarray:
    return centre + half * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


def _signed_area(polygon: ndarray) -> float:
    x, y = (polygon - polygon[0]).T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def _convex(polygon: ndarray) -> ndarray:
    """Counter-clockwise corners; corners on a straight line stay corners."""
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
        raise NetgeomError(
            "The polygon needs at least three corners", expected="an array (K, 2)", got=f"{polygon.shape}"
        )
    area = _signed_area(polygon)
    size = np.ptp(polygon, axis=0)
    if not abs(area) > _NEGLIGIBLE * max(size.max(), np.finfo(float).tiny) ** 2:
        raise NetgeomError(
            "The polygon has no area", expected="a convex polygon of positive area", got=f"area {area:g}"
        )
    if area < 0:
        polygon = polygon[::-1].copy()
    side = np.roll(polygon, -1, 0) - polygon
    following = np.roll(side, -1, 0)
    length = np.linalg.norm(side, axis=1)
    if length.min() <= _NEGLIGIBLE * length.max():
        raise NetgeomError(
            "Two neighbouring corners of the polygon coincide",
            expected="an open polygon, the first corner not repeated",
        )
    turn = side[:, 0] * following[:, 1] - side[:, 1] * following[:, 0]
    winding = np.arctan2(turn, (side * following).sum(1)).sum()
    if (turn < -_NEGLIGIBLE * length * np.roll(length, -1)).any() or abs(winding - 2 * np.pi) > 1e-6:
        raise NetgeomError("The polygon is not convex", expected="a convex polygon (K, 2)")
    return polygon
