"""The region partition neuron by neuron in numpy: the fixed yardstick of `regions.py`.

A shared-vertex complex of the domain (vertices, edges with their two faces) is refined by one neuron at a time, each
step vectorised over all edges and faces: signs at the vertices, cut the edges whose ends differ, join the two ends in
every cut face by a new edge, hand the edges on the negative side to the new face. Everything is float64. It imports
numpy only, and nothing of the package. Do not tune it together with the kernel: it is what the kernel is measured by.

Two ways to keep the arrays: `in_place=False` appends the new rows of each neuron by `np.concatenate`, which copies the
vertices' pre-activations once per neuron (the plain way, and the way behind the speed ratios this project states);
`in_place=True` grows them by doubling, which takes that quadratic cost away. The same complex, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Complex:
    """Faces, edges, vertices; the vertices of face r are `rings[offsets[r]:offsets[r + 1]]`, counter-clockwise."""

    points: np.ndarray  # (V, 2)
    edges: np.ndarray  # (E, 2) vertices
    faces: np.ndarray  # (E, 2) faces beside an edge, -1 outside
    labels: np.ndarray  # (E, 2) layer and neuron that made the edge, (-1, side) on the border
    offsets: np.ndarray
    rings: np.ndarray
    counts: list[int]  # faces after each hidden layer
    vertices: list[int]  # vertices after each hidden layer


class _Growing:
    """An array whose first axis grows: by concatenation, or in place by doubling."""

    def __init__(self, rows: np.ndarray, in_place: bool) -> None:
        self.buffer, self.size, self.in_place = rows, len(rows), in_place

    @property
    def rows(self) -> np.ndarray:
        return self.buffer[: self.size]

    def extend(self, rows: np.ndarray) -> None:
        total = self.size + len(rows)
        if not self.in_place:
            self.buffer, self.size = np.concatenate([self.buffer, rows]), total
            return
        if total > len(self.buffer):
            bigger = np.empty((max(total, 2 * len(self.buffer)), *self.buffer.shape[1:]), self.buffer.dtype)
            bigger[: self.size] = self.rows
            self.buffer = bigger
        self.buffer[self.size : total] = rows
        self.size = total


def partition(
    weights: list[np.ndarray],
    biases: list[np.ndarray],
    polygon,
    *,
    in_place: bool = False,
    tolerance: float = 1e-12,
) -> Complex:
    """All regions of a ReLU net (the last layer is linear and cuts nothing) on a counter-clockwise convex polygon."""
    polygon = np.array(polygon, dtype=np.float64)
    sides = np.arange(len(polygon))
    points = _Growing(polygon, in_place)
    edges = _Growing(np.stack([sides, np.roll(sides, -1)], axis=1), in_place)
    faces = _Growing(np.stack([np.zeros_like(sides), np.full_like(sides, -1)], axis=1), in_place)
    labels = _Growing(np.stack([np.full_like(sides, -1), sides], axis=1), in_place)
    activations, n_faces, counts, vertices = polygon, 1, [], []
    for layer, (weight, bias) in enumerate(zip(weights[:-1], biases[:-1], strict=True)):
        values = _Growing(activations @ weight.T + bias, in_place)
        for neuron in range(len(weight)):
            n_faces = _cut(points, edges, faces, labels, values, n_faces, (layer, neuron), tolerance)
        counts.append(n_faces)
        vertices.append(points.size)
        activations = np.maximum(values.rows, 0)
    offsets, rings = _rings(points.rows, edges.rows, faces.rows, n_faces)
    return Complex(points.rows, edges.rows, faces.rows, labels.rows, offsets, rings, counts, vertices)


def _cut(points, edges, faces, labels, values, n_faces: int, label: tuple[int, int], tolerance: float) -> int:
    """Refine the complex by one neuron; the number of faces afterwards."""
    z = values.rows[:, label[1]]
    slack = tolerance * np.abs(z).max()
    if z.max() <= slack or z.min() >= -slack:
        return n_faces
    sign = (z > slack).view(np.int8) - (z < -slack).view(np.int8)
    values.rows[sign == 0, label[1]] = 0
    ends = edges.rows
    first, second = sign[ends[:, 0]], sign[ends[:, 1]]
    cut = np.flatnonzero(first * second < 0)

    # Which faces are cut, and the two vertices where the line enters and leaves them.
    a, b = ends[cut].T
    new = points.size + np.arange(len(cut))
    owners, at = faces.rows[cut].ravel(), np.repeat(new, 2)
    if (sign == 0).any():
        owners, at = _with_snapped(ends, faces.rows, first, second, owners, at, n_faces)
    owners, at = owners[owners >= 0], at[owners >= 0]
    order = np.argsort(owners, kind="stable")
    split, chords = owners[order][::2], at[order].reshape(-1, 2)

    # New vertices are convex combinations of their edge's ends, in every array that lives on vertices.
    t = (z[a] / (z[a] - z[b]))[:, None]
    points.extend((1 - t) * points.rows[a] + t * points.rows[b])
    values.extend((1 - t) * values.rows[a] + t * values.rows[b])
    values.rows[new, label[1]] = 0

    # An edge keeps its first part, the second is new; then everything on the negative side goes to the new faces.
    edges.rows[cut, 1] = new
    edges.extend(np.stack([new, b], axis=1))
    faces.extend(faces.rows[cut])
    labels.extend(labels.rows[cut])
    side = np.concatenate([np.where(first != 0, first, second), second[cut]])
    renamed = np.append(np.arange(n_faces), -1)
    renamed[split] = n_faces + np.arange(len(split))
    negative = np.flatnonzero(side < 0)
    faces.rows[negative] = renamed[faces.rows[negative]]
    edges.extend(chords)
    faces.extend(np.stack([split, renamed[split]], axis=1))
    labels.extend(np.broadcast_to(label, (len(split), 2)))
    return n_faces + len(split)


def _with_snapped(ends, faces, first, second, owners, at, n_faces: int):
    """Add the ends of chords that are old vertices on the line, in faces with vertices on both sides of it."""
    has = np.zeros((2, n_faces + 1), dtype=bool)
    for s in (first, second):
        has[0, faces[s > 0]] = True
        has[1, faces[s < 0]] = True
    both = has.all(axis=0)
    both[-1] = False
    pairs = []
    for s, column in ((first, 0), (second, 1)):
        rows = np.flatnonzero(s == 0)
        pairs += [np.stack([faces[rows, beside], ends[rows, column]], axis=1) for beside in (0, 1)]
    pairs = np.unique(np.concatenate(pairs), axis=0)
    pairs = pairs[both[pairs[:, 0]]]
    return np.append(owners, pairs[:, 0]), np.append(at, pairs[:, 1])


def _rings(points, edges, faces, n_faces: int):
    """Vertex cycles of all faces: they are convex, so the order is by angle around the mean of the vertices."""
    owner, vertex = faces.ravel(), np.repeat(edges[:, 0], 2)
    other = np.repeat(edges[:, 1], 2)
    inside = owner >= 0
    owner, vertex = np.append(owner[inside], owner[inside]), np.append(vertex[inside], other[inside])
    key = np.unique(owner * len(points) + vertex)
    owner, vertex = key // len(points), key % len(points)
    sizes = np.bincount(owner, minlength=n_faces)
    centre = np.stack([np.bincount(owner, points[vertex, k], n_faces) / sizes for k in (0, 1)], axis=1)
    x, y = (points[vertex] - centre[owner]).T
    order = np.lexsort((np.arctan2(y, x), owner))
    return np.append(0, np.cumsum(sizes)), vertex[order]
