"""Slow twins of the transitions kernel, one definition at a time.

Neighbours are ranked on exact rationals (`fractions.Fraction`), sets are Python sets, matrices are filled entry by
entry, CKA is written with N x N Gram matrices and the Procrustes distance as a minimum that is attained.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
from scipy.linalg import orthogonal_procrustes

# ------------------------------------------------------------------------------------------------------- neighbours


def _rank(x: list[Fraction], y: list[Fraction], metric: str) -> Fraction:
    """An exact number that grows with the distance."""
    if metric == "euclidean":
        return sum(((a - b) ** 2 for a, b in zip(x, y, strict=True)), Fraction(0))
    if metric == "cityblock":
        return sum((abs(a - b) for a, b in zip(x, y, strict=True)), Fraction(0))
    dot, xx, yy = (sum((a * b for a, b in zip(p, q, strict=True)), Fraction(0)) for p, q in ((x, y), (x, x), (y, y)))
    return -dot * abs(dot) / (xx * yy) if xx and yy else Fraction(0)  # minus the signed square of the cosine


def _distance(rank: Fraction, metric: str) -> float:
    if metric == "euclidean":
        return math.sqrt(rank)
    if metric == "cityblock":
        return float(rank)
    # 1 - sqrt(c2) = (1 - c2) / (1 + sqrt(c2)): no digits are lost for nearly parallel rows
    cosine = math.copysign(math.sqrt(abs(rank)), -rank)
    return float(1 - abs(rank)) / (1 + cosine) if cosine > 0 else 1 - cosine


def neighbours(snapshot, k: int, metric: str = "euclidean") -> tuple[np.ndarray, np.ndarray]:
    """Ids and distances of the k nearest others, by (exact distance, id)."""
    rows = [[Fraction(float(value)) for value in row] for row in np.asarray(snapshot)]
    ids, distances = [], []
    for i, x in enumerate(rows):
        ranked = sorted((_rank(x, y, metric), j) for j, y in enumerate(rows) if j != i)[:k]
        ids.append([j for _, j in ranked])
        distances.append([_distance(rank, metric) for rank, _ in ranked])
    return np.array(ids), np.array(distances)


# --------------------------------------------------------------------------------------------------------- overlaps


def overlap(ids) -> np.ndarray:
    k = np.shape(ids)[2]
    return np.array(
        [[len(set(a) & set(b)) / k for a, b in zip(now, after, strict=True)] for now, after in itertools.pairwise(ids)]
    ).reshape(len(ids) - 1, len(ids[0]))


def _over_pairs(ids, value) -> np.ndarray:
    n_snapshots = len(ids)
    matrix = np.empty((n_snapshots, n_snapshots))
    for t in range(n_snapshots):
        for u in range(n_snapshots):
            matrix[t, u] = math.fsum(value(set(a), set(b)) for a, b in zip(ids[t], ids[u], strict=True)) / len(ids[t])
    return matrix


def preservation(ids) -> np.ndarray:
    return _over_pairs(ids, lambda a, b: len(a & b) / len(a))


def jaccard(ids) -> np.ndarray:
    return _over_pairs(ids, lambda a, b: len(a & b) / len(a | b))


def _distances(rows, norm) -> np.ndarray:
    return np.array([[norm(a, b) for b in rows] for a in rows]).reshape(len(rows), len(rows))


def transition_distance(ids, norm: str = "euclidean") -> np.ndarray:
    order = {"euclidean": 2, "cityblock": 1}[norm]
    return _distances(overlap(ids), lambda a, b: np.linalg.norm(a - b, order))


def reprdynamics_distance(snapshots, k: int) -> np.ndarray:
    """The original's formula: neighbourhoods of k with the sample itself, one number repeated for every sample."""
    n = len(snapshots[0])
    hoods = []
    for snapshot in snapshots:
        others = neighbours(snapshot, k - 1)[0] if k > 1 else np.empty((n, 0), dtype=int)
        hoods.append([{i, *others[i].tolist()} for i in range(n)])
    s = [sum(len(a & b) / k for a, b in zip(now, after, strict=True)) / n for now, after in itertools.pairwise(hoods)]
    return _distances(s, lambda a, b: np.linalg.norm(a * np.ones(n) - b * np.ones(n)))


# ---------------------------------------------------------------------------------------------------------- classes


def class_transitions(predictions, n_classes: int) -> np.ndarray:
    counts = np.zeros((len(predictions) - 1, n_classes, n_classes), dtype=int)
    for t in range(len(predictions) - 1):
        for before, after in zip(predictions[t], predictions[t + 1], strict=True):
            counts[t, before, after] += 1
    return counts


def class_transition_distance(counts) -> np.ndarray:
    def bray_curtis(a, b) -> float:
        n = len(a)
        cells = [(i, j) for i in range(n) for j in range(n) if i != j]
        size = sum(int(a[c]) + int(b[c]) for c in cells)
        return sum(abs(int(a[c]) - int(b[c])) for c in cells) / size if size else 0.0

    return _distances(list(counts), bray_curtis)


def classification_distance(predictions) -> np.ndarray:
    return _distances(list(predictions), lambda a, b: sum(p != q for p, q in zip(a, b, strict=True)))


def events(predictions, labels) -> tuple[list[int], list[int], list[int]]:
    """Forgetting events, learning events and first correct snapshot (-1 for never) of each sample."""
    forgotten, learned, first = [], [], []
    for i, label in enumerate(labels):
        correct = [int(row[i]) == int(label) for row in predictions]
        steps = list(itertools.pairwise(correct))
        forgotten.append(sum(a and not b for a, b in steps))
        learned.append(sum(b and not a for a, b in steps))
        first.append(correct.index(True) if True in correct else -1)
    return forgotten, learned, first


# --------------------------------------------------------------------------------------------------------- geometry


def linear_cka(x, y) -> float:
    """tr(K H L H) normalised, with the Gram matrices K, L and the centring matrix H."""
    n = len(x)
    centring = np.eye(n) - np.ones((n, n)) / n
    k, l = (centring @ z @ z.T @ centring for z in (np.asarray(x, float), np.asarray(y, float)))  # noqa: E741
    return float(np.trace(k @ l) / math.sqrt(np.trace(k @ k) * np.trace(l @ l)))


def procrustes_distance(x, y) -> float:
    """The minimum itself: squared distance after the best orthogonal map."""
    x, y = (z - z.mean(0) for z in (np.asarray(x, float), np.asarray(y, float)))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    rotation, _ = orthogonal_procrustes(y, x)
    return float(np.linalg.norm(x - y @ rotation) ** 2)


def aligned_projection(snapshots) -> np.ndarray:
    frames: list[np.ndarray] = []
    for snapshot in snapshots:
        x = np.asarray(snapshot, float)
        x = x - x.mean(0)
        u, s, _ = np.linalg.svd(x, full_matrices=False)
        frame = np.zeros((len(x), 2))
        frame[:, : min(2, len(s))] = (u * s)[:, :2]
        if frames:
            frame = frame @ orthogonal_procrustes(frame, frames[-1])[0]
        else:
            for axis in (0, 1):
                size = np.abs(frame[:, axis])
                if frame[np.flatnonzero(size >= (1 - 1e-6) * size.max())[0], axis] < 0:
                    frame[:, axis] *= -1
        frames.append(frame)
    return np.array(frames)


# ---------------------------------------------------------------------------------------------- scalars, recurrence


def chances(outputs) -> list[float]:
    """Softmax of one row; a single output stands for the logits 0 and z."""
    logits = [0.0, *map(float, outputs)] if len(outputs) == 1 else [float(z) for z in outputs]
    weights = [math.exp(z - max(logits)) for z in logits]
    return [weight / math.fsum(weights) for weight in weights]


def entropy(outputs) -> float:
    return -math.fsum(p * math.log(p) for p in chances(outputs) if p > 0)


def _runs(points) -> list[int]:
    lengths, current = [], 0
    for point in [*points, False]:
        if point:
            current += 1
        elif current:
            lengths.append(current)
            current = 0
    return lengths


def recurrence(distance, low: float, high: float, l_min: int = 2) -> dict[str, float]:
    """Rate, determinism, laminarity, trapping time and entropy of diagonal lengths, by counting."""
    points = [[low <= value <= high for value in row] for row in np.asarray(distance)]
    n = len(points)
    vertical = [length for column in range(n) for length in _runs([points[row][column] for row in range(n)])]
    diagonal = [
        length
        for shift in range(-n + 1, n)
        if shift
        for length in _runs([points[a][a + shift] for a in range(n) if 0 <= a + shift < n])
    ]
    on_vertical, on_diagonal = ([m for m in lengths if m >= l_min] for lengths in (vertical, diagonal))
    shares = [on_diagonal.count(m) / len(on_diagonal) for m in set(on_diagonal)]
    nan = float("nan")
    return {
        "rate": sum(vertical) / n**2,
        "determinism": sum(on_diagonal) / sum(diagonal) if diagonal else nan,
        "laminarity": sum(on_vertical) / sum(vertical) if vertical else nan,
        "trapping_time": sum(on_vertical) / len(on_vertical) if on_vertical else nan,
        "diagonal_entropy": -math.fsum(p * math.log(p) for p in shares) if on_diagonal else nan,
    }
