"""Maps with known Morse graphs, (M, d) -> (M, d), and random digraphs."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st


def leslie(x):
    """Two age classes with overcompensation."""
    return np.stack([(19.6 * x[:, 0] + 23.68 * x[:, 1]) * np.exp(-0.1 * (x[:, 0] + x[:, 1])), 0.7 * x[:, 0]], 1)


def bistable(x):
    """Attracting fixed points at -1 and 1 of the first axis, a repelling one at 0; the others contract."""
    first = x[:, 0] - 0.6 * (x[:, 0] ** 3 - x[:, 0])
    return np.concatenate([first[:, None], 0.6 * x[:, 1:]], 1)


def logistic(x):
    """An attracting orbit of period 3."""
    return 3.83 * x * (1 - x)


def ring(x):
    """An attracting circle, rotated by 72 degrees."""
    z = x[:, 0] + 1j * x[:, 1]
    z = z * (1 + 0.25 * (1 - np.abs(z) ** 2)) * np.exp(2j * np.pi / 5)
    return np.stack([z.real, z.imag], 1)


def henon(x):
    """A strange attractor in a thin domain: many points leave it."""
    return np.stack([1 - 1.4 * x[:, 0] ** 2 + x[:, 1], 0.3 * x[:, 0]], 1)


def as_csr(successors: list[set[int]]) -> tuple[np.ndarray, np.ndarray]:
    """A list of sets of successors as (indptr, indices)."""
    indptr = np.cumsum([0, *map(len, successors)])
    return indptr, np.array([w for after in successors for w in sorted(after)], dtype=np.int64)


@st.composite
def digraphs(draw, most: int, least: int = 1) -> list[set[int]]:
    """Random digraphs from almost acyclic to almost complete, their vertices in no order."""
    n = draw(st.integers(least, most))
    rng = np.random.default_rng(draw(st.integers(0, 10**9)))
    density, loops, back = draw(st.sampled_from([0.1, 0.25, 0.4])), rng.random(), draw(st.sampled_from([0, 0, 0.03]))
    edges = np.triu(rng.random((n, n)) < density, 1) | (rng.random((n, n)) < back)
    edges[np.arange(n), np.arange(n)] = rng.random(n) < loops
    order = rng.permutation(n)
    return [set(np.flatnonzero(edges[v][order]).tolist()) for v in order]
