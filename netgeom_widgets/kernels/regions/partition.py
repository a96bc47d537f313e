"""The result: a partition as arrays, with what can be asked of it."""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from jaxtyping import Bool, Float, Int, Int32
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.regions import affine_maps, decision, locating, measures
from netgeom_widgets.kernels.regions.layers import Layer
from netgeom_widgets.kernels.regions.slices import Slice

if TYPE_CHECKING:
    import igraph

    from netgeom_widgets.execution import Cancel, Progress
    from netgeom_widgets.kernels.regions.certificate import Certificate
    from netgeom_widgets.kernels.regions.decision import Boundary
    from netgeom_widgets.kernels.regions.measures import Statistics
    from netgeom_widgets.kernels.regions.program import Program


@dataclass(frozen=True, eq=False, repr=False)
class Partition:
    """Linear regions of a network in a slice; see `netgeom_widgets.kernels.regions.partition`.

    Attributes
    ----------
    domain : Slice
    vertices : (V, 2) float64
        Slice coordinates.
    edges : (E, 2) int32
        Vertex ids.
    edge_op : (E,) int32
        Index of the activation op that made the edge, -1 on the border of the domain.
    edge_unit : (E,) int32
        Flat index of the unit in that op's output (on the border: side of the polygon).
    edge_regions : (E, 2) int32
        Region on the left and on the right of ``edges[:, 0] -> edges[:, 1]``, -1 outside.
    ring_offsets, ring_vertices, ring_edges : int32
        Corners (counter-clockwise) and sides of region r are entries ``ring_offsets[r]:ring_offsets[r+1]``.
    snapped : (V,) bool
        Vertices whose position or value was decided by the tolerance rather than by rounding alone.
    settings : dict
        Tolerance and limits it was made with.
    """

    domain: Slice
    vertices: Float[ndarray, "V 2"]
    edges: Int32[ndarray, "E 2"]
    edge_op: Int32[ndarray, " E"]
    edge_unit: Int32[ndarray, " E"]
    edge_regions: Int32[ndarray, "E 2"]
    ring_offsets: Int32[ndarray, " offsets"]
    ring_vertices: Int32[ndarray, " H"]
    ring_edges: Int32[ndarray, " H"]
    snapped: Bool[ndarray, " V"]
    settings: dict[str, Any]
    layers: tuple[Layer, ...] = field(repr=False)
    program: Program = field(repr=False)
    relative_resolution: float
    outputs_or_none: Float[ndarray, "V C"] | None = field(repr=False)
    rounding: Float[ndarray, " C"] | None = field(repr=False)

    # ------------------------------------------------------------------------------------------------------ counting

    @property
    def n_regions(self) -> int:
        """Number of regions."""
        return len(self.ring_offsets) - 1

    @property
    def complete(self) -> bool:
        """Whether the whole network was followed; a partition handed to ``on_layer`` ends at an inner activation."""
        return self.outputs_or_none is not None

    @property
    def ops(self) -> tuple[str, ...]:
        """Names of the activation ops in graph order."""
        return tuple(layer.name for layer in self.layers)

    @property
    def region_counts(self) -> tuple[int, ...]:
        """Regions after each activation op."""
        return tuple(layer.n_regions for layer in self.layers)

    @property
    def versions(self) -> dict[str, str]:
        """Libraries the result was made with."""
        import torch

        from netgeom_widgets import __version__

        return {"netgeom_widgets": __version__, "torch": torch.__version__, "numpy": np.__version__}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the copied model's parameters and buffers, in the order of its state dict."""
        found = hashlib.sha256()
        for name, value in self.program.model.state_dict().items():
            found.update(name.encode())
            found.update(np.ascontiguousarray(value.numpy()).tobytes())
        return found.hexdigest()

    @property
    def output_rounding(self) -> Float[ndarray, " C"]:
        """(C,) by how much float64 rounding may change an output anywhere in the domain."""
        if self.rounding is None:
            raise _no_outputs()
        return self.rounding

    @property
    def outputs(self) -> Float[ndarray, "V C"]:
        """(V, C) network output at the vertices."""
        if self.outputs_or_none is None:
            raise _no_outputs()
        return self.outputs_or_none

    # ------------------------------------------------------------------------------------------------------ geometry

    @cached_property
    def areas(self) -> Float[ndarray, " R"]:
        """(R,) areas in slice coordinates."""
        return self._areas_and_centroids[0]

    @cached_property
    def centroids(self) -> Float[ndarray, "R 2"]:
        """(R, 2) centroids in slice coordinates."""
        return self._areas_and_centroids[1]

    @cached_property
    def _areas_and_centroids(self) -> tuple[ndarray, ndarray]:
        return measures.areas_and_centroids(self.vertices, self.ring_offsets, self.ring_vertices)

    @cached_property
    def births(self) -> Int32[ndarray, " R"]:
        """(R,) activation op that cut the region last, -1 where none did."""
        return np.maximum.reduceat(self.edge_op[self.ring_edges], self.ring_offsets[:-1]).astype(np.int32)

    def ancestors(self, op: int) -> Int32[ndarray, " R"]:
        """(R,) region of the partition after activation ``op`` in which each region lies."""
        if not -len(self.layers) <= op < len(self.layers):
            raise NetgeomError("No such activation op", expected=f"0 to {len(self.layers) - 1}", got=f"{op}")
        found = np.arange(self.n_regions, dtype=np.int32)
        for layer in reversed(self.layers[op % len(self.layers) + 1 :]):
            found = found if layer.parents is None else layer.parents[found]
        return found

    def polygon(self, region: SupportsIndex) -> Float[ndarray, "K 2"]:
        """(K, 2) corners of a region, counter-clockwise."""
        start, stop = self.ring_offsets[self._index(region) : self._index(region) + 2]
        return self.vertices[self.ring_vertices[start:stop]]

    @property
    def resolution(self) -> float:
        """Width in slice units below which float64 arithmetic no longer separates the hinges of this domain.

        Ninth decile over the units that cut the domain of (forward rounding error) / (slope of the pre-activation), and
        not less than the distance of neighbouring floats in the inputs.
        """
        domain = self.domain
        spacing = np.finfo(np.float64).eps * np.abs(domain.to_input(domain.polygon)).max() / np.abs(domain.basis).max()
        return max(self.relative_resolution * float(np.ptp(domain.polygon, axis=0).max()), float(spacing))

    # -------------------------------------------------------------------------------------------------------- values

    @cached_property
    def _maps(self) -> tuple[ndarray, ndarray]:
        return affine_maps.fit(self)

    @property
    def slopes(self) -> Float[ndarray, "R C 2"]:
        """(R, C, 2): output c in region r is ``slopes[r, c] @ (s, t) + offsets[r, c]``.

        From the output at the region's corners; small, thin or snapped regions by differentiating the branch itself.
        """
        return self._maps[0]

    @property
    def offsets(self) -> Float[ndarray, "R C"]:
        """(R, C) constant terms of the affine maps."""
        return self._maps[1]

    def values(self) -> Float[ndarray, "R C"]:
        """(R, C) output at the regions' centroids."""
        return np.einsum("rcd,rd->rc", self.slopes, self.centroids) + self.offsets

    @cached_property
    def classes(self) -> Int32[ndarray, " R"]:
        """(R,) predicted class at the centroid: argmax, or for one output 1 where it is above zero."""
        values = self.values()
        return (values[:, 0] > 0 if values.shape[1] == 1 else values.argmax(1)).astype(np.int32)

    def input_slopes(self, region: SupportsIndex) -> ndarray:
        """Jacobian of the region's affine map in the full input space, (C, *input shape). Cost: C backward passes."""
        return affine_maps.input_jacobian(self, self._index(region))

    def pattern(self, region: SupportsIndex) -> dict[str, Int[ndarray, " ..."]]:
        """Branch of every unit in a region, by activation op, int8 (int16 where an op has more than 128 branches).

        Of an elementwise op the number of breakpoints that the pre-activation exceeds: for a ReLU 1 where it is above
        zero. Of a maximum the position, among the entries of the unit's window, of the first that attains it: for
        pooling row by row, padding not counted; for a maximum of two tensors 0 or 1.
        """
        found = self.branches(np.array([self._index(region)]))
        return {layer.name: b[0].reshape(layer.shape) for layer, b in zip(self.layers, found, strict=True)}

    def branches(self, regions: Int[ndarray, " M"]) -> list[Int[ndarray, "M N"]]:
        """Branches of every unit in several regions, one (M, N) array for each activation op."""
        require_memory(
            sum(layer.n_units for layer in self.layers) * len(regions), "The activation patterns", "fewer regions"
        )
        return [layer.branches(self.ancestors(i)[regions]) for i, layer in enumerate(self.layers)]

    def _index(self, region: SupportsIndex) -> int:
        if not 0 <= operator.index(region) < self.n_regions:
            raise NetgeomError("No such region", expected=f"0 to {self.n_regions - 1}", got=f"{region}")
        return operator.index(region)

    # ------------------------------------------------------------------------------------------------- point queries

    def locate(self, points: Any) -> Int32[ndarray, " M"]:
        """Region of each point (M, 2), -1 outside; a point on a hinge belongs to one of its two sides."""
        return locating.locate(self, points)

    def rasterise(
        self, xmin: float, xmax: float, ymin: float, ymax: float, width: int, height: int
    ) -> Int32[ndarray, "h w"]:
        """(height, width) region at every pixel centre, row 0 at ymin, -1 outside; painted from the exact polygons."""
        return locating.rasterise(self, xmin, xmax, ymin, ymax, width, height)

    # ------------------------------------------------------------------------------------------------------ analyses

    def adjacency(self) -> igraph.Graph:
        """Regions as nodes, inner edges as links with attributes ``op``, ``unit`` and ``length``."""
        import igraph

        inner = np.flatnonzero((self.edge_regions >= 0).all(1))
        ends = self.vertices[self.edges[inner]]
        graph = igraph.Graph(n=self.n_regions, edges=self.edge_regions[inner].tolist())
        graph.es["op"] = self.edge_op[inner].tolist()
        graph.es["unit"] = self.edge_unit[inner].tolist()
        graph.es["length"] = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).tolist()
        return graph

    def decision_boundary(self) -> Boundary:
        """Zero set for one output, true argmax boundary for several."""
        return self._boundary

    @cached_property
    def _boundary(self) -> Boundary:
        return decision.boundary(self)

    def sample_boundary(self, n: int, *, seed: int | np.random.Generator = 0) -> Float[ndarray, "n 2"]:
        """(n, 2) points uniform on the decision boundary by length; empty where there is no boundary."""
        return decision.sample(self._boundary, n, seed)

    def statistics(self) -> Statistics:
        """Area, eccentricity, sides and slope norm of every region, and their summary; computed once."""
        return self._statistics

    @cached_property
    def _statistics(self) -> Statistics:
        return measures.statistics(self)

    def certify(
        self,
        *,
        grid: int = 200,
        samples: int = 1000,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        executor: Any = None,
        seed: int | np.random.Generator = 0,
    ) -> Certificate:
        """Check the partition against the model itself; see `netgeom_widgets.kernels.regions.certificate`.

        ``grid`` points a side and ``samples`` random points and regions are checked beside all corners. ``executor`` is
        accepted as by every long function and not used. O((corners + grid^2 + samples) N) for N units.
        """
        from netgeom_widgets.kernels.regions.certificate import certify

        return certify(self, grid=grid, samples=samples, seed=seed, progress=progress, cancel=cancel)

    def __repr__(self) -> str:
        """One line."""
        state = "" if self.complete else f" after {self.ops[-1]}"
        sizes = f"{self.n_regions:,} regions, {len(self.edges):,} edges, {len(self.vertices):,} vertices"
        return f"<Partition{state} of {sizes}>"


def _no_outputs() -> NetgeomError:
    return NetgeomError(
        "This partition ends at an inner activation and has no outputs", try_this="the finished partition for values"
    )
