"""Slow twin of the region partition: clip convex polygons by one neuron at a time.

A region is a convex polygon and, for every value that is still needed, three affine columns (two directions and an
offset). An affine operation acts on the columns. A hinge, an elementwise function with breakpoints, cuts the polygon by
each neuron that passes a breakpoint in its open interior and puts the columns through the linear piece taken. A maximum
replaces the polygon, window by window, by the cells on which one entry is at least every other.

The same code runs on float64 and on exact rationals (`fractions.Fraction`). On rationals there is no tolerance, and
vertices and edges are counted by comparing coordinates exactly.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

_fraction = np.frompyfunc(Fraction, 1, 1)


def numbers(array, exact: bool) -> np.ndarray:
    """`array` as float64, or as an object array of `Fraction` that equals it bit for bit."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    array = np.asarray(array)
    if array.dtype == object:
        return array if exact else array.astype(np.float64)
    array = array.astype(np.float64)
    return np.asarray(_fraction(array), dtype=object) if exact else array


# --------------------------------------------------------------------------------------------------------- programs


@dataclass
class Node:
    """One operation on flattened values: `inputs` are indices of earlier values, 0 is the network's input."""

    kind: str  # affine | hinge | maximum | add | cat
    inputs: tuple[int, ...]
    matrix: np.ndarray | None = None
    offset: np.ndarray | None = None
    breakpoints: tuple[float, ...] = ()
    slopes: tuple[np.ndarray, ...] = ()  # of every piece from left to right, each a number or one per unit
    values: tuple[float, ...] = ()  # at the breakpoints
    windows: list[list[int]] | None = None  # per unit of a maximum the entries it is taken over
    sign: int = 1  # -1: a minimum
    scale: tuple[float, ...] = ()  # of the summands of `add`


@dataclass
class Program:
    """A network as a list of nodes over flattened values; the last value is the output."""

    size: int
    nodes: list[Node] = field(default_factory=list)

    def _append(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes)

    @property
    def last(self) -> int:
        return len(self.nodes)

    def affine(self, matrix, offset=None, source: int | None = None) -> int:
        matrix = numbers(matrix, matrix.dtype == object if isinstance(matrix, np.ndarray) else False)
        offset = np.zeros(len(matrix)) if offset is None else numbers(offset, False)
        return self._append(Node("affine", (self.last if source is None else source,), matrix, offset))

    def hinge(self, slope=0.0, source: int | None = None) -> int:
        return self.pieces((0.0,), (slope, 1.0), (0.0,), source)

    def pieces(self, breakpoints, slopes, values, source: int | None = None) -> int:
        slopes = tuple(np.asarray(slope, float) for slope in slopes)
        where = (self.last if source is None else source,)
        return self._append(Node("hinge", where, breakpoints=tuple(breakpoints), slopes=slopes, values=tuple(values)))

    def maximum(self, windows, sign: int = 1, source: int | None = None) -> int:
        where = (self.last if source is None else source,)
        return self._append(Node("maximum", where, windows=[list(window) for window in windows], sign=sign))

    def add(self, *sources: int, scale: tuple[float, ...] | None = None) -> int:
        return self._append(Node("add", sources, scale=scale or (1.0,) * len(sources)))

    def cat(self, *sources: int) -> int:
        return self._append(Node("cat", sources))


def _dense(function, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Matrix of a linear function on arrays of `shape`: its values at the unit vectors."""
    size = math.prod(shape)
    images = function(torch.eye(size, dtype=torch.float64).reshape(size, *shape))
    return images.reshape(size, -1).T.numpy(), tuple(images.shape[1:])


def _per_unit(values, shape: tuple[int, ...]) -> np.ndarray:
    """One value per channel (or one for all) spread over the flattened units of `shape`."""
    values = numbers(values, False).reshape(-1)
    return np.repeat(np.broadcast_to(values, shape[0]) if len(values) == 1 else values, math.prod(shape[1:]))


def _batch_norm(program: Program, shape, gamma, beta, mean, var, eps) -> None:
    gamma = np.ones(shape[0]) if gamma is None else numbers(gamma, False)
    beta = np.zeros(shape[0]) if beta is None else numbers(beta, False)
    scale = gamma / np.sqrt(numbers(var, False) + eps)
    program.affine(np.diag(_per_unit(scale, shape)), _per_unit(beta - numbers(mean, False) * scale, shape))


def from_golden(layers: list[dict], arrays, input_shape) -> Program:
    """The program of a golden case: its typed layer list and its arrays."""
    shape = tuple(input_shape)
    program = Program(math.prod(shape))

    def array(name):
        return None if name is None else torch.as_tensor(np.asarray(arrays[name]))

    for layer in layers:
        kind = layer["type"]
        if kind == "linear":
            program.affine(arrays[layer["W"]], None if layer["b"] is None else arrays[layer["b"]])
            shape = (len(arrays[layer["W"]]),)
        elif kind == "conv2d":
            weight, settings = array(layer["W"]), {"stride": layer["stride"], "padding": layer["padding"]}
            matrix, shape = _dense(lambda x: F.conv2d(x, weight, **settings), shape)  # noqa: B023 (called at once)
            program.affine(matrix, None if layer["b"] is None else _per_unit(arrays[layer["b"]], shape))
        elif kind == "batchnorm2d":
            _batch_norm(program, shape, *(arrays[layer[n]] for n in ("gamma", "beta", "mean", "var")), layer["eps"])
        elif kind == "avgpool2d":
            matrix, shape = _dense(lambda x: F.avg_pool2d(x, layer["kernel_size"], layer["stride"]), shape)  # noqa: B023
            program.affine(matrix)
        elif kind == "flatten":
            shape = (math.prod(shape),)
        elif kind in ("relu", "leaky_relu"):
            program.hinge(layer.get("negative_slope", 0.0))
        else:
            raise ValueError(f"unknown layer type {kind!r}")
    return program


def from_torch(model: nn.Module, input_shape) -> Program:
    """The program of an `nn.Sequential`, possibly nested, of the module kinds listed in `_append_module`."""
    program = Program(math.prod(input_shape))
    _append_module(program, model, tuple(input_shape))
    return program


POOLS = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip


def pool_windows(module: nn.Module, shape: tuple[int, ...]) -> tuple[list[list[int]], tuple[int, ...]]:
    """Which entries every unit of a pooling depends on, seen by raising one entry at a time, and the result's shape.

    A maximum over a window returns a raised entry exactly where the window holds it.
    """
    size = math.prod(shape)
    raised = module(torch.eye(size, dtype=torch.float64).reshape(size, *shape))
    held = raised.reshape(size, -1) > 0
    return [torch.nonzero(held[:, unit]).flatten().tolist() for unit in range(held.shape[1])], tuple(raised.shape[1:])


def _append_module(program: Program, module: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Append one module, return the shape of its output."""
    if isinstance(module, nn.Sequential):
        for child in module:
            shape = _append_module(program, child, shape)
    elif isinstance(module, nn.Linear):
        # On arrays with more than one axis a Linear acts on the last one.
        matrix, new = _dense(lambda x: F.linear(x, module.weight.detach().double()), shape)
        bias = None if module.bias is None else np.tile(numbers(module.bias, False), math.prod(new[:-1]))
        program.affine(matrix, bias)
        shape = new
    elif isinstance(module, nn.modules.conv._ConvNd):
        weight = module.weight.detach().double()
        if isinstance(module, nn.ConvTranspose2d):
            settings = (module.stride, module.padding, module.output_padding, module.groups, module.dilation)
            matrix, shape = _dense(lambda x: F.conv_transpose2d(x, weight, None, *settings), shape)
        else:
            convolve = {nn.Conv1d: F.conv1d, nn.Conv2d: F.conv2d, nn.Conv3d: F.conv3d}[type(module)]
            settings = (module.stride, module.padding, module.dilation, module.groups)
            matrix, shape = _dense(lambda x: convolve(x, weight, None, *settings), shape)
        program.affine(matrix, None if module.bias is None else _per_unit(module.bias, shape))
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        _batch_norm(program, shape, module.weight, module.bias, module.running_mean, module.running_var, module.eps)
    elif isinstance(module, (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)):
        matrix, shape = _dense(module, shape)
        program.affine(matrix)
    elif isinstance(module, nn.Flatten):
        shape = (math.prod(shape),)
    elif isinstance(module, nn.Unflatten):
        shape = (*shape[: module.dim - 1], *module.unflattened_size, *shape[module.dim :])
    elif isinstance(module, (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU)):
        slope = {
            nn.ReLU: lambda m: 0.0,
            nn.LeakyReLU: lambda m: m.negative_slope,
            nn.PReLU: lambda m: _per_unit(m.weight, shape),
            nn.RReLU: lambda m: (m.lower + m.upper) / 2,
        }[type(module)](module)
        program.hinge(slope)
    elif isinstance(module, nn.Hardtanh):  # ReLU6 is one
        low, high = module.min_val, module.max_val
        program.pieces((low, high), (0.0, 1.0, 0.0), (low, high))
    elif isinstance(module, nn.Hardsigmoid):
        program.pieces((-3.0, 3.0), (0.0, 1 / 6, 0.0), (0.0, 1.0))
    elif isinstance(module, nn.Softshrink):
        program.pieces((-module.lambd, module.lambd), (1.0, 0.0, 1.0), (0.0, 0.0))
    elif isinstance(module, nn.Threshold):
        program.pieces((module.threshold,), (0.0, 1.0), (module.value,))
    elif isinstance(module, POOLS):
        windows, shape = pool_windows(module, shape)
        program.maximum(windows)
    elif not isinstance(module, (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)):
        raise ValueError(f"the twin does not know {type(module).__name__}")
    return shape


# -------------------------------------------------------------------------------------------------------- partition


@dataclass
class Regions:
    """What the twin found; lists over regions, `slopes` (R, C, 2), `offsets` (R, C) in slice coordinates (s, t)."""

    polygons: list[list[tuple]]
    counts: list[int]
    # per op (R, units): of a hinge how many breakpoints z exceeds, of a maximum the place in its window of the winner
    patterns: list[np.ndarray]
    ancestors: list[np.ndarray]  # per op (R,): the region just after that op
    slopes: np.ndarray
    offsets: np.ndarray
    exact: bool

    @property
    def areas(self) -> np.ndarray:
        return np.array([float(area(polygon)) for polygon in self.polygons])

    @property
    def slope_norms(self) -> np.ndarray:
        """(R, C) Euclidean norm of each output's slope in slice coordinates."""
        return np.linalg.norm(self.slopes.astype(np.float64), axis=2)


def area(polygon):
    """Signed area (shoelace)."""
    x, y = polygon[0]  # relative to a corner: a tiny polygon far from the origin would lose its digits
    spokes = [(p[0] - x, p[1] - y) for p in polygon[1:]]
    return sum(p[0] * q[1] - q[0] * p[1] for p, q in itertools.pairwise(spokes)) / 2


def split(polygon: list[tuple], values: list, tolerance) -> tuple[list[tuple], list[tuple]]:
    """Cut a convex polygon by the zero line of an affine function with these `values` at its corners."""
    above, below = [], []
    for k, (p, z) in enumerate(zip(polygon, values, strict=True)):
        q, w = polygon[k - 1], values[k - 1]
        if (z > tolerance and w < -tolerance) or (z < -tolerance and w > tolerance):
            t = w / (w - z)
            cut = (q[0] + t * (p[0] - q[0]), q[1] + t * (p[1] - q[1]))
            above.append(cut)
            below.append(cut)
        if z >= -tolerance:
            above.append(p)
        if z <= tolerance:
            below.append(p)
    return above, below


def _cut_region(polygon, columns, tolerances) -> list[list[tuple]]:
    """All pieces of one polygon after every neuron of `columns` (n, 3); only cuts of the open interior count."""
    corners = np.array(polygon, dtype=columns.dtype)
    values = corners @ columns[:, :2].T + columns[:, 2]
    pieces = [polygon]
    for unit in np.flatnonzero((values.max(0) > tolerances) & (values.min(0) < -tolerances)):
        a, b, c = columns[unit]
        tolerance = tolerances[unit]
        done = []
        for piece in pieces:
            z = [a * p[0] + b * p[1] + c for p in piece]
            crossing = max(z) > tolerance and min(z) < -tolerance
            done.extend(split(piece, z, tolerance) if crossing else [piece])
        pieces = done
    return pieces


def _branches(pieces, columns, tolerances) -> np.ndarray:
    """(pieces, n) bool: on which side of each neuron a piece lies, by its corner farthest from the zero line."""
    result = np.empty((len(pieces), len(columns)), dtype=bool)
    for row, piece in enumerate(pieces):
        values = np.array(piece, dtype=columns.dtype) @ columns[:, :2].T + columns[:, 2]
        result[row] = values.max(0) > np.maximum(-values.min(0), tolerances)
    return result


def _tolerances(polygon, columns, relative):
    """Per neuron of `columns` (n, 3), below which a value at a corner counts as zero."""
    if columns.dtype == object:
        return np.full(len(columns), Fraction(0), dtype=object)
    radius = max(math.hypot(*p) for p in polygon)
    return relative * (np.linalg.norm(columns[:, :2], axis=1) * radius + np.abs(columns[:, 2]))


def _hinge(node: Node, polygons, columns, relative):
    """Refine every polygon by all breakpoints of all neurons of `columns` (R, n, 3): pieces, parents, branches."""
    pieces, parents, branches = [], [], []
    exact = columns.dtype == object
    shifts = np.zeros((len(node.breakpoints), 3), dtype=object if exact else float)
    shifts[:, 2] = numbers(node.breakpoints, exact)
    for r, polygon in enumerate(polygons):
        shifted = (columns[r][None] - shifts[:, None]).reshape(-1, 3)  # breakpoint by breakpoint
        tolerances = _tolerances(polygon, shifted, relative)
        found = _cut_region(polygon, shifted, tolerances)
        pieces += found
        parents += [r] * len(found)
        above = _branches(found, shifted, tolerances).reshape(len(found), len(node.breakpoints), -1)
        branches.append(above.sum(1))
    return pieces, np.array(parents), np.concatenate(branches)


def _maximum(node: Node, polygons, columns, relative):
    """As `_hinge`, for a maximum: window by window, the cells of the upper envelope of its entries."""
    pieces, parents, branches = [], [], []
    for r, polygon in enumerate(polygons):
        found = [(polygon, [])]
        for window in node.windows:
            entries = columns[r][window] * node.sign
            found = [
                (cell, [*winners, winner])
                for piece, winners in found
                for cell, winner in _envelope_cells(piece, entries, relative)
            ]
        pieces += [piece for piece, _ in found]
        parents += [r] * len(found)
        branches += [winners for _, winners in found]
    return pieces, np.array(parents), np.array(branches)


def _envelope_cells(polygon, entries, relative):
    """(cell, entry) for each entry that is at least every other on a cell of positive area; the first of equal ones."""
    for i, entry in enumerate(entries):
        cell = polygon
        for j, other in enumerate(entries):
            if j == i:
                continue
            tolerance = _tolerances(polygon, np.array([entry, other]), relative).sum()
            ahead = [(p[0] * d[0] + p[1] * d[1] + d[2]) for d in [entry - other] for p in cell]
            if max(ahead) > tolerance:
                if min(ahead) < -tolerance:
                    cell = split(cell, ahead, tolerance)[0]
            elif min(ahead) < -tolerance or j < i:  # never ahead, or equal throughout
                cell = None
                break
        if cell is not None:
            yield cell, i


def _apply(node: Node, values: list[np.ndarray], exact: bool) -> np.ndarray:
    """Columns (R, n, 3) of an affine node from those of its inputs."""
    if node.kind == "add":
        scaled = [values[i] * numbers(s, exact)[()] for i, s in zip(node.inputs, node.scale, strict=True)]
        return sum(scaled[1:], scaled[0])
    if node.kind == "cat":
        return np.concatenate([values[i] for i in node.inputs], axis=1)
    matrix, offset = numbers(node.matrix, exact), numbers(node.offset, exact)
    source = values[node.inputs[0]]
    moved = np.moveaxis(source, 2, 1).reshape(-1, source.shape[1]) @ matrix.T
    columns = np.moveaxis(moved.reshape(len(source), 3, -1), 1, 2).copy()
    columns[:, :, 2] += offset
    return columns


def _slice_columns(origin, u, v, exact: bool) -> np.ndarray:
    return np.stack([numbers(np.ravel(w), exact) for w in (u, v, origin)], axis=1)[None]


def _through(node: Node, columns: np.ndarray, branches: np.ndarray, exact: bool) -> np.ndarray:
    """(R, n, 3) columns of an op's result when every unit keeps the branch given (R, n)."""
    if node.kind == "maximum":
        entries = [[window[b] for window, b in zip(node.windows, row, strict=True)] for row in branches]
        return np.stack([of_region[entry] for of_region, entry in zip(columns, entries, strict=True)])
    slopes = np.stack([np.broadcast_to(numbers(s, exact), branches.shape[1:]) for s in node.slopes])
    slope = np.take_along_axis(slopes, branches.astype(int), 0)
    result = columns * slope[:, :, None]
    # Each piece runs through the value at the breakpoint on its left, the first one through that on its right.
    at = np.maximum(branches.astype(int) - 1, 0)
    result[:, :, 2] += numbers(node.values, exact)[at] - slope * numbers(node.breakpoints, exact)[at]
    return result


def partition(program: Program, polygon, origin, u, v, *, exact: bool = False, tolerance: float = 1e-11) -> Regions:
    """Every region of `program` on the slice origin + s*u + t*v inside a convex polygon (K, 2), open.

    The tolerance is relative to |slope| * |(s, t)| + |offset| of each neuron in each region; exact runs have none.
    """
    corners = [tuple(point) for point in numbers(polygon, exact)]
    polygons = [corners if area(corners) > 0 else corners[::-1]]
    values, counts, patterns, parents_of = [_slice_columns(origin, u, v, exact)], [], [], []
    for node in program.nodes:
        if node.kind not in ("hinge", "maximum"):
            values.append(_apply(node, values, exact))
            continue
        refine = _hinge if node.kind == "hinge" else _maximum
        polygons, parents, branches = refine(node, polygons, values[node.inputs[0]], tolerance)
        values = [value[parents] for value in values]
        patterns = [pattern[parents] for pattern in patterns] + [branches]
        parents_of = [ids[parents] for ids in parents_of] + [np.arange(len(polygons))]
        counts.append(len(polygons))
        values.append(_through(node, values[node.inputs[0]], branches, exact))
    output = values[-1]
    return Regions(polygons, counts, patterns, parents_of, output[:, :, :2], output[:, :, 2], exact)


def forced_map(program: Program, patterns: list[np.ndarray], origin, u, v, *, exact: bool = False) -> np.ndarray:
    """Affine columns (C, 3) of the output when every op is forced to the given branches (list of (n,) ints)."""
    values, remaining = [_slice_columns(origin, u, v, exact)], iter(patterns)
    for node in program.nodes:
        if node.kind in ("hinge", "maximum"):
            branches = np.asarray(next(remaining)).reshape(1, -1)
            values.append(_through(node, values[node.inputs[0]], branches, exact))
        else:
            values.append(_apply(node, values, exact))
    return values[-1][0]


# --------------------------------------------------------------------------------------------------------- topology


@dataclass
class Complex:
    vertices: int
    edges: int
    adjacent_pairs: int


def _line(p, q) -> tuple:
    """Canonical coefficients of the line through two rational points: equal lines, equal tuples."""
    a, b = p[1] - q[1], q[0] - p[0]
    lead = a if a != 0 else b
    return a / lead, b / lead, (a * p[0] + b * p[1]) / lead


def complex_of(regions: Regions) -> Complex:
    """Vertices, edges and two-sided edges of an exact partition, by equal coordinates.

    A corner of one face in the open side of another (a T-junction) cuts that side: all sides on one line are cut at
    all ends of sides on that line.
    """
    if not regions.exact:
        raise ValueError("shared coordinates are only comparable on exact rationals")
    ids: dict[tuple, int] = {}
    lines: dict[tuple, list[tuple[int, int]]] = {}
    points: list[tuple] = []
    for polygon in regions.polygons:
        for p, q in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            for point in (p, q):
                if point not in ids:
                    ids[point] = len(points)
                    points.append(point)
            lines.setdefault(_line(p, q), []).append((ids[p], ids[q]))
    edges = pairs = 0
    for sides in lines.values():
        ends = sorted({end for side in sides for end in side}, key=points.__getitem__)
        rank = {end: k for k, end in enumerate(ends)}
        covered = np.zeros(len(ends), dtype=int)
        for a, b in sides:
            low, high = sorted((rank[a], rank[b]))
            covered[low:high] += 1
        edges += int((covered > 0).sum())
        pairs += int((covered == 2).sum())
    return Complex(len(points), edges, pairs)


# --------------------------------------------------------------------------------------------------------- boundary


def _chord(polygon, values) -> list[tuple[float, float]]:
    """The ends of the zero line of an affine function inside a polygon; [] when it misses the open interior."""
    if not (max(values) > 0 and min(values) < 0):
        return []
    above, below = split(polygon, values, 0)
    shared = {p for p in above if p in set(below)}
    return sorted(shared)


def _clip_segment(ends, f) -> list[tuple[float, float]]:
    """The part of a segment where the affine function f is not negative."""
    (p, q), (a, b) = ends, (f(ends[0]), f(ends[1]))
    if a < 0 and b < 0:
        return []
    if a >= 0 and b >= 0:
        return ends
    t = a / (a - b)
    cut = (p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1]))
    return [p, cut] if a >= 0 else [cut, q]


def boundary_length(regions: Regions) -> float:
    """Length of the zero set (one output) or of the true argmax boundary (several) in the open regions.

    Ties that lie on a side between two regions are not seen here; nets with such ties are tested by hand.
    """
    total = 0.0
    outputs = np.concatenate([regions.slopes, regions.offsets[:, :, None]], axis=2)
    for polygon, columns in zip(regions.polygons, outputs, strict=True):
        if len(columns) == 1:
            pairs = [(columns[0], [])]
        else:
            pairs = []
            for i in range(len(columns)):
                for j in range(i):
                    others = [columns[i] - columns[k] for k in range(len(columns)) if k not in (i, j)]
                    pairs.append((columns[i] - columns[j], others))
        for (a, b, c), others in pairs:
            ends = _chord(polygon, [a * p[0] + b * p[1] + c for p in polygon])
            for d, e, f in others:
                if len(ends) == 2:
                    ends = _clip_segment(ends, lambda p, d=d, e=e, f=f: d * p[0] + e * p[1] + f)
            if len(ends) == 2:
                (x0, y0), (x1, y1) = ends
                total += math.hypot(float(x1 - x0), float(y1 - y0))
    return total


# ------------------------------------------------------------------------------------------------- local complexity


def local_complexity(program: Program, points, radius: float, directions) -> list[int]:
    """Units whose branch is not the same at all x +- radius * direction, point by point and sample by sample."""
    found = []
    for x in points:
        seen = [pattern_at(program, np.ravel(x) + s * radius * np.ravel(d)) for d in directions for s in (1, -1)]
        found.append(sum(len({pattern[k] for pattern in seen}) > 1 for k in range(len(seen[0]))))
    return found


def pattern_at(program: Program, x) -> list[int]:
    """The branch of every unit of every op at one input."""
    values, pattern = [np.asarray(x, dtype=float)], []
    for node in program.nodes:
        source = [values[i] for i in node.inputs]
        if node.kind == "affine":
            values.append(node.matrix @ source[0] + node.offset)
        elif node.kind == "add":
            values.append(sum(s * v for s, v in zip(node.scale, source, strict=True)))
        elif node.kind == "cat":
            values.append(np.concatenate(source))
        else:
            if node.kind == "hinge":
                branches = [sum(z > b for b in node.breakpoints) for z in source[0]]
            else:
                branches = [int(np.argmax(node.sign * source[0][window])) for window in node.windows]
            pattern += branches
            columns = np.zeros((1, len(source[0]), 3))
            columns[0, :, 2] = source[0]
            values.append(_through(node, columns, np.array([branches]), False)[0, :, 2])
    return pattern
