"""Places for the nodes of an order, in layers, with few crossings of the lines between them.

Longest-path layers, nodes of length one for lines that pass layers, sweeps of medians (Sugiyama, Tagawa and Toda 1981;
Eades and Wormald 1994), then places within each layer as near to those of their neighbours as room allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

_SWEEPS = 24
#: Sweeps end where they began to: a layout of few nodes begins from several orders of them.
_STARTS, _FEW = 10, 100
#: Passes of moving the nodes of each layer towards their neighbours.
_PASSES = 12


@dataclass(frozen=True, eq=False)
class Layered:
    """Places of k nodes and the corners of the lines between them.

    Attributes
    ----------
    x : (k,) float
        Neighbours in a layer are at least 1 apart; centred about 0.
    lines : list of (m, 2) float
        Corners of each edge from its upper end to its lower end; y is the layer.
    crossings : int
    """

    x: Float[np.ndarray, " k"]
    lines: list[Float[np.ndarray, "m 2"]]
    crossings: int


def layered(heights: Int[np.ndarray, " k"], edges: Sequence[tuple[int, int]]) -> Layered:
    """Place nodes whose layers are given.

    Parameters
    ----------
    heights : (k,) int
        Layer of each node, 0 lowest.
    edges : sequence of (upper, lower)
        Each goes down by one layer or more.

    Returns
    -------
    Layered
        The same input gives the same places. O(sweeps times edges log edges).
    """
    heights = np.asarray(heights, dtype=np.int64)
    chains, above, below, layers = _split(heights, edges)
    best, fewest = layers, _crossings(layers, below)
    rng = np.random.default_rng(0)
    for start in range(_STARTS if len(above) <= _FEW else 1):
        if not fewest:
            break
        begun = [rng.permutation(layer).tolist() for layer in layers] if start else layers
        found, crossed = _swept([list(layer) for layer in begun], above, below)
        if crossed < fewest:
            best, fewest = found, crossed
    x = _spread(best, above, below)
    layer_of = {node: at for at, layer in enumerate(best) for node in layer}
    lines = [np.array([[x[node], float(layer_of[node])] for node in chain]) for chain in chains]
    return Layered(np.array([x[node] for node in range(len(heights))]), lines, fewest)


def _swept(
    layers: list[list[int]], above: dict[int, list[int]], below: dict[int, list[int]]
) -> tuple[list[list[int]], int]:
    """The best order that sweeps of medians, down and up in turn, come by."""
    best, fewest = layers, _crossings(layers, below)
    layers = [list(layer) for layer in layers]
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for at in range(len(layers) - 2, -1, -1) if down else range(1, len(layers)):
            _by_median(layers, at, above if down else below, at + 1 if down else at - 1)
        crossed = _crossings(layers, below)
        if crossed < fewest:
            best, fewest = [list(layer) for layer in layers], crossed
    return best, fewest


def _split(
    heights: np.ndarray, edges: Sequence[tuple[int, int]]
) -> tuple[list[list[int]], dict[int, list[int]], dict[int, list[int]], list[list[int]]]:
    """Edges as chains of nodes in neighbouring layers; neighbours above and below; nodes of each layer."""
    k = len(heights)
    layers: list[list[int]] = [[] for _ in range(int(heights.max(initial=-1)) + 1)]
    for node in range(k):
        layers[int(heights[node])].append(node)
    above: dict[int, list[int]] = {node: [] for node in range(k)}
    below: dict[int, list[int]] = {node: [] for node in range(k)}
    chains, fresh = [], k
    for upper, lower in edges:
        chain = [int(upper)]
        for layer in range(int(heights[upper]) - 1, int(heights[lower]), -1):
            layers[layer].append(fresh)
            above[fresh], below[fresh] = [], []
            chain.append(fresh)
            fresh += 1
        chain.append(int(lower))
        for one, other in pairwise(chain):
            below[one].append(other)
            above[other].append(one)
        chains.append(chain)
    return chains, above, below, layers


def _by_median(layers: list[list[int]], at: int, neighbours: dict[int, list[int]], beside: int) -> None:
    """Order a layer by the median place of each node's neighbours in the layer beside."""
    place = {node: where for where, node in enumerate(layers[beside])}

    def key(pair: tuple[int, int]) -> tuple[float, int]:
        where, node = pair
        found = [place[other] for other in neighbours[node] if other in place]
        return (float(np.median(found)) + float(np.mean(found)) * 1e-6 if found else float(where), where)

    layers[at] = [node for _, node in sorted(enumerate(layers[at]), key=key)]


def _crossings(layers: list[list[int]], below: dict[int, list[int]]) -> int:
    """Pairs of lines between neighbouring layers that cross."""
    total = 0
    for lower, upper in pairwise(layers):
        place = {node: where for where, node in enumerate(lower)}
        ends = [sorted(place[other] for other in below[node]) for node in upper]
        seen = np.zeros(len(lower) + 1, dtype=np.int64)
        for row in ends:
            total += sum(int(seen[end + 1 :].sum()) for end in row)
            for end in row:
                seen[end] += 1
    return total


def _spread(layers: list[list[int]], above: dict[int, list[int]], below: dict[int, list[int]]) -> dict[int, float]:
    """Places within layers, in their order and at least 1 apart."""
    x = {node: where - (len(layer) - 1) / 2 for layer in layers for where, node in enumerate(layer)}
    for turn in range(_PASSES):
        for layer in layers if turn % 2 else layers[::-1]:
            wanted = []
            for node in layer:
                beside = [x[other] for other in (*above[node], *below[node])]
                wanted.append(float(np.mean(beside)) if beside else x[node])
            for node, place in zip(layer, _apart(np.array(wanted)), strict=True):
                x[node] = float(place)
    middle = (min(x.values(), default=0.0) + max(x.values(), default=0.0)) / 2
    return {node: place - middle for node, place in x.items()}


def _apart(wanted: np.ndarray) -> np.ndarray:
    """The nearest places (least squares) in the same order at least 1 apart: isotonic regression of what is left."""
    shifted = wanted - np.arange(len(wanted))
    blocks: list[list[float]] = []  # sum, count
    for value in shifted.tolist():
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    means = [total / count for total, count in blocks for _ in range(int(count))]
    return np.array(means) + np.arange(len(wanted))
