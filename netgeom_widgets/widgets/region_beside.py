"""Mixin of the region explorer: the networks it shows, one or two side by side, and what the second one adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.region_pair import PAIR_HEIGHT, PAIR_STYLE, LinkedPointer, details_html
from netgeom_widgets.figures.region_style import RegionStyle
from netgeom_widgets.figures.region_text import count, detail_html, hint_html
from netgeom_widgets.figures.region_values import layer_count
from netgeom_widgets.figures.regions import RegionFigure
from netgeom_widgets.kernels.regions import Partition
from netgeom_widgets.widgets.region_side import Side
from netgeom_widgets.widgets.region_view import Prepared


class Beside(traitlets.HasTraits):
    """One network, or two on the same slice: everything that is done once for each of them."""

    against_result = traitlets.Any(None, read_only=True, help="Partition of the second network in the last run.")
    against_viewport = traitlets.Any(None, read_only=True, help="What is drawn of it: against_result, or the view.")
    against_region = traitlets.Int(
        None,
        allow_none=True,
        help="Id of the picked region in against_result, or None. It follows region; set by itself it stands alone.",
    ).tag(setting="mark")

    _sides: tuple[Side, ...] = ()

    def _setup_sides(self, model: Any, against: Any, names: Any) -> None:
        """Take the networks; called before ``super().__init__``, after the checkpoints were taken."""
        if against is None:
            if names is not None:
                raise NetgeomError("There are names without a second network.", expected="against", got=f"{names!r}")
            self._sides = (Side(model),)
            return
        given = ("first", "second")
        if isinstance(against, int) and not isinstance(against, bool):
            given, against = ("chosen", f"step {against:,}"), self._model_of_step(against)
        first, second = given if names is None else _two_names(names)
        self._sides = (Side(model, first), Side(against, second))

    def _model_of_step(self, step: int) -> Any:
        if self._checkpoints is None or step not in self._steps:
            steps = "a module, or with checkpoints one of their steps"
            raise NetgeomError("There is no such step to stand beside.", expected=steps, got=str(step))
        return self._checkpoints.model(self._steps.index(step))

    @property
    def _copied_sides(self) -> tuple[Side, ...]:
        """Those whose network is copied when a run starts; with checkpoints ``step`` says what the first one is."""
        return self._sides[1:] if self._steps else self._sides

    def _make_figures(self) -> None:
        """A picture per network; the second shares view and colours with the first."""
        first, *others = self._sides
        height = PAIR_HEIGHT if others else 600
        first.figure = RegionFigure(self.domain, self._points, height=height, name=first.name)
        for side in others:
            side.figure = RegionFigure(self.domain, self._points, height=height, name=side.name, beside=first.figure)
        if others:
            self._linked = LinkedPointer([side.figure.canvas for side in self._sides])

    # ---- runs and drawing

    def _prepare_beside(
        self, first: Prepared, *, progress: Progress, cancel: Cancel, publish: Any
    ) -> tuple[Prepared, ...]:
        """The partitions of the other networks; the one in hand where neither network nor domain has changed."""
        finished = []
        for side in self._sides[1:]:
            held = side.prepared
            if held is None or held.kernel is not side.kernel or held.result.domain != first.result.domain:
                part_of = _publisher(side, publish) if self._last_good is None else None
                held = self._prepare_copy(
                    side,
                    first.result.domain,
                    progress=self._progress_of(side, progress),
                    cancel=cancel,
                    on_layer=part_of,
                )
            finished.append(held)
        return tuple(finished)

    def _progress_of(self, side: Side, progress: Progress) -> Progress:
        """The share of a side in the progress of the run, which goes through all of them once."""
        n, at = len(self._sides), self._sides.index(side)
        if n == 1:
            return progress
        return Progress(lambda part: progress.update(at + part.fraction, n, f"{side.name}: {part.text}"))

    def _side_of_part(self, part: Partition) -> Side:
        """The network that a part of a run belongs to."""
        return next((side for side in self._sides[1:] if side.part is part), self._sides[0])

    def _style_of(self, side: Side, style: RegionStyle) -> RegionStyle:
        """The common style; only the first network changes with the steps of training."""
        return style if side is self._sides[0] else replace(style, step=None)

    def _legend_clicked(self, side: Side, ops: tuple[int, ...] | None) -> None:
        """Show the hinge lines of the layers left; those that only the other network has stay as they are."""

        def choose() -> None:
            own = layer_count(side.scene.full) if side.scene is not None else 0
            last = max((layer_count(s.scene.full) for s in self._sides if s.scene is not None), default=own)
            beyond = [op for op in range(own, last) if self.hinges is None or op in self.hinges]
            left = (*(range(own) if ops is None else ops), *beyond)
            self.hinges = None if len(left) == last else left

        self._paint(choose, "legend")

    def _results(self) -> list[Partition]:
        return [found for found in (self.result, self.against_result) if found is not None]

    # ---- picking

    @traitlets.validate("against_region")
    def _check_against_region(self, proposal: Any) -> int | None:
        region, found = proposal["value"], self.against_result
        if region is not None and (len(self._sides) < 2 or region < 0):
            raise NetgeomError(
                "There is no such region.", expected="None, or with against an id from 0", got=str(region)
            )
        if region is not None and found is not None and region >= found.n_regions:
            last = f"None or an id from 0 to {found.n_regions - 1}"
            raise NetgeomError("There is no such region in the second network.", expected=last, got=str(region))
        return region

    @traitlets.observe("region")
    def _follow_region(self, _: Any = None) -> None:
        """Pick the region of the second network that holds the picked point."""
        if len(self._sides) < 2 or self._sides[1].prepared is None:
            return
        self._move_point()
        if self.region is None or self._point is None:
            self.against_region = None
        else:
            found = int(self._sides[1].prepared.result.locate(self._point)[0])
            self.against_region = found if found >= 0 else None

    @traitlets.observe("result")
    def _carry_against(self, change: Any) -> None:
        """Pick in the second network what is picked in the first; an id that is about to change is left to that."""
        stays = self.region is not None and self._carried(self.region, change["old"], change["new"]) == self.region
        if stays and self.against_region is None:
            self._follow_region()

    def _carried_regions(self, finished: Sequence[Prepared]) -> list[int | None]:
        """The picked regions as ids in new partitions."""
        old = ((self.region, self.result), (self.against_region, self.against_result))
        return [
            self._carried(picked, before, held.result) for (picked, before), held in zip(old, finished, strict=False)
        ]

    def _say_against(self, regions: Sequence[int | None]) -> None:
        """Let the traits of the second network say what is drawn now."""
        if len(self._sides) > 1:
            assert self._sides[1].prepared is not None  # noqa: S101 - it was drawn
            self.set_trait("against_result", self._sides[1].prepared.result)
            self.against_region = regions[1]

    # ---- words and numbers

    def _details(self, regions: Sequence[int | None]) -> str:
        """What the panel says of the picked regions, as HTML."""
        first = self._sides[0].prepared
        if first is None or all(region is None for region in regions[: len(self._sides)]):
            return hint_html(None if first is None else first.result, len(self.selection))
        named = [(side.name, self._detail(side, region)) for side, region in zip(self._sides, regions, strict=False)]
        return details_html(named) + (PAIR_STYLE if len(named) > 1 else "")

    def _detail(self, side: Side, region: int | None) -> str:
        if side.prepared is None or region is None:
            return hint_html(None)
        found, held = side.prepared.result, self._held(region, side)
        nearest = float(self._points.distance[held].min()) if len(held) else None
        samples = held if len(self._points) else None
        return detail_html(found, region, found.pattern(region), samples, nearest)

    def _named_results(self) -> dict[str, Partition]:
        """Finished partitions by the name of their network; that of the only one is empty."""
        return {side.name: side.prepared.result for side in self._sides if side.prepared is not None}

    def _counts(self) -> str:
        """Number of regions of each network."""
        found = self._named_results().items()
        return ", ".join(f"{name}: " * bool(name) + count(result.n_regions, "region") for name, result in found)


def _two_names(names: Any) -> tuple[str, str]:
    """Names for titles, checked."""
    good = isinstance(names, list | tuple) and len(names) == 2 and all(isinstance(name, str) for name in names)
    if not good or not all(name.strip() for name in names) or names[0] == names[1]:
        raise NetgeomError("These are no names of two networks.", expected="two different texts", got=f"{names!r}")
    return names[0], names[1]


def _publisher(side: Side, publish: Any) -> Any:
    """Publishes parts of a run as those of a side."""

    def on_layer(part: Partition) -> None:
        side.part = part
        publish(part)

    return on_layer
