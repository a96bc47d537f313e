"""One network of the region explorer: what computes its partitions, the partition in hand, and its picture."""

from __future__ import annotations

from typing import Any

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.figures.region_style import RegionStyle
from netgeom_widgets.figures.regions import RegionFigure
from netgeom_widgets.kernels.regions import Partition, Slice, compile_partition
from netgeom_widgets.widgets.region_view import Kernel, Prepared


class Side:
    """One network that the explorer shows; it owns one of these, or two that stand side by side.

    Attributes
    ----------
    model : torch.nn.Module or None
        None where checkpoints of training say which network it is.
    name : str
        What titles call it; empty when it is the only one.
    kernel : callable or None
        Computes partitions of the network as it was when the last run started.
    prepared : Prepared or None
        The last finished partition.
    scene : RegionScene or None
        What the picture shows: that partition, a view of it, or a part of the run going on.
    part : Partition or None
        The part of a run that was published last.
    figure : RegionFigure
        Set once the figure is made.
    """

    figure: RegionFigure

    def __init__(self, model: Any, name: str = "") -> None:
        self.model, self.name = model, name
        self.kernel: Kernel | None = None
        self.prepared: Prepared | None = None
        self.scene: RegionScene | None = None
        self.part: Partition | None = None
        self.next_kernel: Kernel | None = None  # made before the first run: what is wrong with a model is said at once

    def copy_model(self, domain: Slice, **limits: Any) -> Kernel:
        """Take the model as it is now, or refuse it."""
        kernel, self.next_kernel = self.next_kernel, None
        self.kernel = kernel if kernel is not None else self._compile(domain, limits)
        return self.kernel

    def _compile(self, domain: Slice, limits: dict[str, Any]) -> Kernel:
        try:
            return compile_partition(self.model, domain, **limits)
        except NetgeomError as error:
            if not self.name:
                raise
            what = f"The network named {self.name} is refused. {error.what}"
            raise type(error)(what, expected=error.expected, got=error.got, try_this=error.try_this) from error

    def draw_part(self, part: Partition, style: RegionStyle) -> None:
        """Show what a run has found so far."""
        self.scene = RegionScene.of(part)
        self.figure.draw(self.scene, style)

    def take(self, prepared: Prepared, step: int | None) -> bool:
        """Have the next drawing show a finished partition; False when it is the one shown, maybe zoomed in."""
        is_shown = self.prepared is prepared and self.scene is not None and self.scene.full is prepared.result
        self.prepared, self.part = prepared, None
        if not is_shown:
            self.scene = prepared.scene
            self.figure.expect(prepared.result, step)
        return not is_shown
