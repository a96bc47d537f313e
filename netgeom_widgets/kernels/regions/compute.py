"""The exact partition of a slice into linear regions: a model's activations refine a complex, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._model import private_copy
from netgeom_widgets.kernels.regions import arrangement
from netgeom_widgets.kernels.regions.cells import Complex, Recipe
from netgeom_widgets.kernels.regions.elementwise import PiecewiseLinear
from netgeom_widgets.kernels.regions.envelope import Entries, refine_by_maximum
from netgeom_widgets.kernels.regions.hinges import Hinges, find_hinges
from netgeom_widgets.kernels.regions.layers import Layer, branch_type, maximum_layer
from netgeom_widgets.kernels.regions.partition import Partition
from netgeom_widgets.kernels.regions.program import Program, Values
from netgeom_widgets.kernels.regions.signs import words
from netgeom_widgets.kernels.regions.slices import Slice
from netgeom_widgets.kernels.regions.tracing import Activation
from netgeom_widgets.kernels.regions.vertex_values import VertexValues
from netgeom_widgets.kernels.regions.windows import Maximum

# Units of the last place by which a dot product and the values it starts from may be off: the floor below which a
# pre-activation is not told from zero. Sums of a few hundred terms stay below 4 in practice; 16 leaves room.
ROUNDING_UNITS = 16 * float(np.finfo(np.float64).eps)


def partition(
    model: nn.Module,
    domain: Slice,
    *,
    tolerance: float = 1e-10,
    max_regions: int = 2_000_000,
    on_layer: Callable[[Partition], None] | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Partition:
    """All linear regions of a piecewise-linear network in a convex polygon of a 2-D slice of its input.

    A region is a maximal connected cell of positive area on which every activation keeps one branch (Humayun et al.
    2023, arXiv 2302.12828, section 3); the last affine layer splits nothing. A unit is on where its pre-activation is
    above zero.

    Parameters
    ----------
    model : torch.nn.Module
        Takes one tensor, batch first; any device, floating dtype and mode. It is copied, never touched.
    domain : Slice
        The slice; its origin is shaped like one input.
    tolerance : float
        Relative to a unit's largest pre-activation at the vertices; below it, and below the unit's own forward rounding
        error, a sign counts as zero and the hinge passes through the vertex.
    max_regions : int
        More are refused before they are allocated.
    on_layer : callable, optional
        Called after each activation op with the exact partition of the network cut there (its ``complete`` is False).
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used: a layer needs the one before it, and nothing is random.

    Returns
    -------
    Partition
        Counts and adjacency exact for hinges farther apart than the tolerance; vertex coordinates and values to a few
        units of float64 rounding (convex combinations only).

    Raises
    ------
    UnsupportedModuleError
        Something in the model is not piecewise linear or not supported, named by its dotted path, before any work.
    TooLargeError
        More than ``max_regions`` regions, or more memory than there is; says how many layers were finished.
    NetgeomError
        Weights that are not finite, an input shape that does not fit, a model that cannot be copied.

    Notes
    -----
    Cost O(V w^2) for V vertices and width w (the network's own matrix products, once per vertex), plus O(V w) per layer
    for the refinement and O(m^2) per cell cut by m units; V is about the number of regions.
    """
    return compile_partition(model, domain, tolerance=tolerance, max_regions=max_regions)(
        domain, on_layer=on_layer, progress=progress, cancel=cancel
    )


def compile_partition(
    model: nn.Module, domain: Slice, *, tolerance: float = 1e-10, max_regions: int = 2_000_000
) -> Callable[..., Partition]:
    """Check and copy the model once; what returns computes partitions of slices with the same input shape."""
    if not isinstance(domain, Slice):
        raise NetgeomError("The domain is not a slice", expected="a netgeom_widgets.Slice", got=type(domain).__name__)
    if not (isinstance(tolerance, int | float | np.floating) and 0 <= tolerance < 0.1):
        raise NetgeomError(
            "The tolerance must be a small relative number", expected="0 <= tolerance < 0.1", got=f"{tolerance!r}"
        )
    if not (isinstance(max_regions, int | np.integer) and max_regions >= 1):
        raise NetgeomError("max_regions must be a positive whole number", expected="1 or more", got=f"{max_regions!r}")
    tolerance, max_regions = float(tolerance), int(max_regions)
    program = Program(private_copy(model), torch.from_numpy(domain.to_input(_probe_points(domain.polygon))))

    def run(
        domain: Slice,
        *,
        on_layer: Callable[[Partition], None] | None = None,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
    ) -> Partition:
        with torch.no_grad():
            return _Refinement(
                program, domain, tolerance, max_regions, on_layer, as_progress(progress), as_cancel(cancel)
            ).run()

    return run


def _probe_points(polygon: np.ndarray) -> np.ndarray:
    """A few points inside: convex combinations of the corners with fixed, uneven weights."""
    k = np.arange(1, len(polygon) + 1)
    weights = np.array([1.0 + np.sin(k * step) ** 2 for step in (1.0, 2.3, 3.7)])
    return weights / weights.sum(1, keepdims=True) @ polygon


class _Refinement:
    """State of one run: the complex so far and what every vertex carries."""

    def __init__(
        self,
        program: Program,
        domain: Slice,
        tolerance: float,
        max_regions: int,
        on_layer: Callable[[Partition], None] | None,
        progress: Progress,
        cancel: Cancel,
    ) -> None:
        self.program, self.domain, self.tolerance, self.max_regions = program, domain, tolerance, max_regions
        self.on_layer, self.progress, self.cancel = on_layer, progress, cancel
        self.cells = Complex.polygon(len(domain.polygon))
        self.layers: list[Layer] = []
        self.sharpness: list[Tensor] = []

    def run(self) -> Partition:
        corners = torch.from_numpy(self.domain.to_input(self.domain.polygon))
        bounds: Values = {self.program.input: corners.abs().amax(0, keepdim=True)}
        self.progress.update(0, len(self.program.activations), "starting")
        try:
            self.values = VertexValues(self.program, self.domain, self.cancel.checkpoint)
            for segment in self.program.segments:
                bounds = self.program.advance_bounds(segment, bounds)
                bound = bounds[segment.end]
                if segment.activation is not None:
                    bounds[segment.node] = self._refine_at(segment.activation, bound)
        except TooLargeError as error:
            raise self._too_large(error) from None
        outputs = self.values.outputs
        assert outputs is not None  # noqa: S101 - the last segment ends in them
        if not bool(torch.isfinite(outputs).all()):
            raise NetgeomError("The model's output is not finite inside the domain", expected="finite outputs")
        return self._partition(outputs, ROUNDING_UNITS * bound.flatten())

    def _refine_at(self, activation: Activation, magnitude: Tensor) -> Tensor:
        """Cut every face by the hinges of an activation, and go through it; the magnitude row of its output."""
        self.cancel.checkpoint()
        low, high, function = self.values.low, self.values.high, activation.function
        floor = ROUNDING_UNITS * magnitude.reshape(-1)
        if isinstance(function, Maximum):
            layer = self._cut_by_maximum(activation, function, magnitude.shape[1:], floor)
        else:
            hinges = find_hinges(function, low, high, floor, self.tolerance)
            layer = self._cut_by_hinges(activation, hinges, magnitude.shape[1:], floor)
        self.layers.append(layer)
        if self.on_layer is not None:
            self.on_layer(self._partition(None, None))
        self.progress.update(
            activation.index + 1, None, f"layer {activation.index + 1}: {self.cells.n_faces:,} regions"
        )
        bound = function.magnitude(low.reshape(magnitude.shape[1:]), high.reshape(magnitude.shape[1:]))
        if activation.index + 1 == len(self.program.activations) and isinstance(function, PiecewiseLinear):
            # outputs come from values on both sides of the hinges, see `polylines`
            sizes = torch.maximum(low.abs(), high.abs()).reshape(bound.shape)
            bound = torch.maximum(bound, function.steepest * sizes)
        return bound

    def _cut_by_hinges(self, activation: Activation, hinges: Hinges, shape: torch.Size, floor: Tensor) -> Layer:
        for k, point in enumerate(hinges.function.breakpoints):
            touching = hinges.touching_at(k)
            if len(touching):
                units, threshold = hinges.units(touching), hinges.threshold[touching]
                self.values.settle(units, threshold, hinges.rounding[touching], point)
        recipe, parents, active = Recipe(), None, hinges.compared[hinges.cutting]
        if len(active):
            self.sharpness.append(hinges.rounding[active] / hinges.span[active])
            recipe, parents = self._refine(activation, hinges)
        above = 0.0 if hinges.function.at_zero else hinges.breakpoints(hinges.varying)
        bits = self.values.cross(recipe, floor, hinges.units(hinges.varying), above)
        return self._layer(activation, shape, bits, hinges, parents)

    def _cut_by_maximum(self, activation: Activation, maximum: Maximum, shape: torch.Size, floor: Tensor) -> Layer:
        windows = maximum.windows(tuple(shape))
        found = refine_by_maximum(
            self.cells,
            Entries(self.values, maximum.sign),
            windows,
            floor,
            op=activation.index,
            tolerance=self.tolerance,
            limit=self.max_regions,
            checkpoint=self.cancel.checkpoint,
        )
        self.cells = found.complex
        if len(found.sharpness):
            self.sharpness.append(found.sharpness)
        self.values.cross(found.recipe, floor, torch.empty(0, dtype=torch.int64))
        self.values.spoiled[found.snapped] = 1.0
        return maximum_layer(activation.name, windows, found)

    def _refine(self, activation: Activation, hinges: Hinges) -> tuple[Recipe, Tensor]:
        columns = hinges.compared
        chosen = hinges.distances(self.values.columns)
        refined = arrangement.refine(
            self.cells,
            chosen,
            hinges.threshold[columns],
            hinges.cutting,
            op=activation.index,
            units=columns,
            tolerance=self.tolerance,
            limit=self.max_regions,
            checkpoint=self.cancel.checkpoint,
        )
        self.cells = refined.complex
        if hinges.function.n_breakpoints > 1:  # edges are labelled by columns until here
            made = self.cells.edge_op == activation.index
            self.cells.edge_unit[made] //= hinges.function.n_breakpoints
        # Vertices whose sign was snapped although rounding alone would not have hidden it.
        vertices, at = refined.snapped_vertices, refined.snapped_columns
        self.values.spoiled[vertices[chosen[vertices, at].abs() > hinges.rounding[columns[at]]]] = 1.0
        return refined.recipe, refined.parents

    def _too_large(self, error: TooLargeError) -> TooLargeError:
        """The same, with how far the computation came."""
        done, total = len(self.layers), len(self.program.activations)
        place = f"activation layer {done + 1} ({self.program.activations[done].name})" if done < total else "the output"
        return TooLargeError(
            f"The partition is too large at {place}: {error.what}; {done} of {total} activation layers "
            f"were finished, regions so far: {self.cells.n_faces:,}",
            expected=error.expected,
            got=error.got,
            try_this=error.try_this or f"max_regions={max(4 * self.max_regions, 1000):_}, or a smaller domain",
        )

    def _layer(
        self, activation: Activation, shape: torch.Size, bits: Tensor, hinges: Hinges, parents: Tensor | None
    ) -> Layer:
        """Branch of every unit in every face: constant for most units, else read off the face's ring."""
        cells = self.cells
        if len(hinges.varying):
            at_corners = words(bits)[cells.origins].numpy()
            rings = np.bitwise_or.reduceat(at_corners, cells.ring_offsets[:-1].numpy(), axis=0).view(np.uint8)
        else:
            rings = np.zeros((cells.n_faces, 0), dtype=np.uint8)
        return Layer(
            activation.name,
            hinges.function.n_breakpoints,
            tuple(shape),
            cells.n_faces,
            hinges.base.numpy().astype(branch_type(hinges.function.n_breakpoints)),
            hinges.units(hinges.varying).numpy().astype(np.int32),
            None,
            rings,
            None if parents is None else parents.numpy().astype(np.int32),
        )

    def _partition(self, outputs: Tensor | None, rounding: Tensor | None) -> Partition:
        cells = self.cells
        sharpness = torch.cat(self.sharpness).numpy() if self.sharpness else np.zeros(1)
        half_faces = torch.full((2 * len(cells.edges),), -1, dtype=torch.int32)
        half_faces[cells.ring] = cells.ring_faces.to(torch.int32)
        return Partition(
            domain=self.domain,
            program=self.program,
            layers=tuple(self.layers),
            vertices=self.values.points.numpy(),
            edges=cells.edges.numpy().astype(np.int32),
            edge_op=cells.edge_op.numpy(),
            edge_unit=cells.edge_unit.numpy(),
            edge_regions=half_faces.view(-1, 2).numpy(),
            ring_offsets=cells.ring_offsets.numpy().astype(np.int32),
            ring_vertices=cells.origins.numpy().astype(np.int32),
            ring_edges=(cells.ring >> 1).numpy().astype(np.int32),
            snapped=self.values.spoiled.numpy() > 0,
            relative_resolution=float(np.quantile(sharpness, 0.9)),
            outputs_or_none=None if outputs is None else outputs.numpy(),
            rounding=None if rounding is None else rounding.numpy(),
            settings={"tolerance": self.tolerance, "max_regions": self.max_regions},
        )
