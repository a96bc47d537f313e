"""Slow twins of the order retraction kernel, written from the definitions.

A digraph is a list of sets of successors. Reachability is one search for each vertex, components are classes of mutual
reachability, and order retractions are found by trying every assignment. Boxes are covered in exact rationals.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

# ------------------------------------------------------------------------------------------------------------- boxes


def shape(dims: int, subdivisions: int) -> list[int]:
    """Cells along each axis: bisect axis 0, 1, ..., 0, 1, ... in turn."""
    bits = [0] * dims
    for step in range(subdivisions):
        bits[step % dims] += 1
    return [2**b for b in bits]


def cells(lower, upper, subdivisions: int) -> list[tuple[int, ...]]:
    """Index tuples in the order of the cells' ids."""
    return list(itertools.product(*(range(n) for n in shape(len(lower), subdivisions))))


def _points(lower, upper, sides: list[int], index: tuple[int, ...], method: str) -> list[list[float]]:
    """The corners of a cell, or its centre."""
    steps = [(i + Fraction(1, 2),) if method == "centre" else (i, i + 1) for i in index]
    frame = list(zip(lower, upper, sides, strict=True))
    return [
        [float(Fraction(a) + (Fraction(b) - Fraction(a)) * s / n) for s, (a, b, n) in zip(corner, frame, strict=True)]
        for corner in itertools.product(*steps)
    ]


def image(f, lower, upper, subdivisions: int, index, *, method="corners", padding=False, std=None, z=0.0):
    """[(low, high)] of the image box of a cell, as rationals; `f` and `std` take and give one point."""
    sides = shape(len(lower), subdivisions)
    points = _points(lower, upper, sides, index, method)
    values = [[Fraction(float(y)) for y in f(point)] for point in points]
    spread = [[Fraction(float(s)) * Fraction(z) if std else Fraction(0) for s in (std or f)(p)] for p in points]
    box = []
    for axis, (a, b, n) in enumerate(zip(lower, upper, sides, strict=True)):
        margin = (Fraction(b) - Fraction(a)) / n if padding else Fraction(0)
        low = min(y[axis] - s[axis] for y, s in zip(values, spread, strict=True))
        high = max(y[axis] + s[axis] for y, s in zip(values, spread, strict=True))
        box.append((low - margin, high + margin))
    return box


def _slack(a, b) -> Fraction:
    return (Fraction(b) - Fraction(a)) / 2**50


def covered(box, lower, upper, subdivisions: int) -> list[tuple[int, ...]]:
    """Cells that a closed box meets, touching ones too."""
    ranges = []
    for (low, high), a, b, n in zip(box, lower, upper, shape(len(lower), subdivisions), strict=True):
        edges = [Fraction(a) + (Fraction(b) - Fraction(a)) * i / n for i in range(n + 1)]
        slack = _slack(a, b)
        ranges.append([i for i in range(n) if edges[i] <= high + slack and edges[i + 1] >= low - slack])
    return list(itertools.product(*ranges))


def sticks_out(box, lower, upper) -> bool:
    """Whether some part of an image box is not inside the domain."""
    return any(
        low < Fraction(a) - _slack(a, b) or high > Fraction(b) + _slack(a, b)
        for (low, high), a, b in zip(box, lower, upper, strict=True)
    )


def digraph(f, lower, upper, subdivisions: int, **options) -> tuple[list[set[int]], list[bool]]:
    """Successors of each cell, and whether its image box sticks out of the domain."""
    order = cells(lower, upper, subdivisions)
    number = {index: i for i, index in enumerate(order)}
    boxes = [image(f, lower, upper, subdivisions, index, **options) for index in order]
    successors = [{number[index] for index in covered(box, lower, upper, subdivisions)} for box in boxes]
    return successors, [sticks_out(box, lower, upper) for box in boxes]


# ------------------------------------------------------------------------------------------------------------- graph


def reachable(successors: list[set[int]]) -> list[frozenset[int]]:
    """What each vertex reaches by paths of any length, itself included."""
    found = []
    for start in range(len(successors)):
        seen, front = {start}, [start]
        while front:
            new = successors[front.pop()] - seen
            seen |= new
            front += new
        found.append(frozenset(seen))
    return found


def components(reach: list[frozenset[int]]) -> list[frozenset[int]]:
    """Classes of mutual reachability, by first vertex."""
    return list(dict.fromkeys(frozenset(w for w in seen if v in reach[w]) for v, seen in enumerate(reach)))


class Morse:
    """Morse nodes of a digraph, numbered by height and then first vertex, and what follows from them.

    `keep`: only these count, given by their vertices.
    """

    def __init__(self, successors: list[set[int]], keep: set[frozenset[int]] | None = None) -> None:
        self.successors = successors
        self.reach = reachable(successors)
        self.components = components(self.reach)
        recurrent = [c for c in self.components if len(c) > 1 or min(c) in successors[min(c)]]
        recurrent = [c for c in recurrent if keep is None or c in keep]
        height: dict[frozenset[int], int] = {}

        def height_of(c: frozenset[int]) -> int:
            if c not in height:
                below = [b for b in recurrent if b != c and min(b) in self.reach[min(c)]]
                height[c] = 1 + max(map(height_of, below)) if below else 0
            return height[c]

        self.nodes = sorted(recurrent, key=lambda c: (height_of(c), min(c)))
        self.heights = [height_of(c) for c in self.nodes]
        k = range(len(self.nodes))
        self.leq = [[min(self.nodes[i]) in self.reach[min(self.nodes[j])] for j in k] for i in k]
        self.label = [next((p for p in k if v in self.nodes[p]), -1) for v in range(len(successors))]
        self.down = [frozenset(p for p in k if self.nodes[p] & seen) for seen in self.reach]
        self.up = [frozenset(p for p in k if v in self.reach[min(self.nodes[p])]) for v in range(len(successors))]

    @property
    def hasse(self) -> set[tuple[int, int]]:
        """(upper, lower) where nothing lies between."""
        k = range(len(self.nodes))
        below = {(j, i) for i in k for j in k if i != j and self.leq[i][j]}
        return {(j, i) for j, i in below if not any((j, m) in below and (m, i) in below for m in k)}

    def minimal_upper_bounds(self, nodes) -> list[int]:
        bounds = [m for m in range(len(self.nodes)) if all(self.leq[i][m] for i in nodes)]
        return [m for m in bounds if not any(o != m and self.leq[o][m] for o in bounds)]

    @property
    def join(self) -> tuple[list[int], list[int]]:
        """Node and status of each vertex under the join rule."""
        node, status = [], []
        for down in self.down:
            bounds = self.minimal_upper_bounds(down)
            one = bool(down) and len(bounds) == 1  # the only minimal one of a finite set of bounds is the least
            node.append(bounds[0] if one else -1)
            status.append(3 if not down else 0 if one else 1 if bounds else 2)
        return node, status

    def is_retraction(self, node) -> bool:
        """Whether a map of the vertices that reach recurrent ones preserves order and fixes the Morse nodes."""
        if any(bool(down) != (p >= 0) for down, p in zip(self.down, node, strict=True)):
            return False
        fixed = all(label in (-1, p) for label, p in zip(self.label, node, strict=True))
        edges = ((v, w) for v, after in enumerate(self.successors) for w in after if node[w] >= 0)
        return fixed and all(self.leq[node[w]][node[v]] for v, w in edges)

    def retractions(self) -> list[tuple[int, ...]]:
        """All order retractions, by trial; vertices that reach nothing recurrent have -1."""
        k = range(len(self.nodes))
        choices = [
            [-1] if not down else [label] if label >= 0 else k
            for down, label in zip(self.down, self.label, strict=True)
        ]
        return [node for node in itertools.product(*choices) if self.is_retraction(node)]


def may_leave(successors: list[set[int]], sticking_out: list[bool]) -> list[bool]:
    """Whether a vertex reaches one whose image is not inside the domain."""
    return [any(sticking_out[w] for w in seen) for seen in reachable(successors)]


def number_of_assignments(morse: Morse) -> int:
    """How many maps `retractions` tries."""
    free = sum(label < 0 and bool(down) for label, down in zip(morse.label, morse.down, strict=True))
    return math.prod([len(morse.nodes)] * free)
