"""Mixin of the region explorer: which slice is shown, chosen in the constructor, by assignment or by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_geometry import Window
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.kernels.regions import Slice
from netgeom_widgets.kernels.regions.planes import Motion, box_around, central_samples, normal_direction
from netgeom_widgets.widgets.live_runs import LiveRuns
from netgeom_widgets.widgets.region_data import SliceData
from netgeom_widgets.widgets.region_side import Side
from netgeom_widgets.widgets.region_slice import anchor_fields
from netgeom_widgets.widgets.region_slice_traits import Anchors, SliceTrait, as_slice, three_ids
from netgeom_widgets.widgets.settings import bad_setting, ids_in_words

MOTION = ("turn", "tilt", "shift_s", "shift_t", "shift_w", "size")
OFF_PLANE = ("tilt", "shift_w")
#: Seconds after which the first layers of a new slice are shown, if the whole is not there by then.
_PATIENCE = 0.25


def _slider(label: str, step: float | None = None, **more: Any) -> dict[str, Any]:
    return {"setting": "run", "bar": True, "label": label, "step": step, **more}


class Slicing(LiveRuns):
    """The slice that is shown: ``start``, moved by ``turn``, ``tilt``, shifts and ``size``; in all, ``domain``.

    Assigning ``domain`` or ``anchors`` gives a new start and puts the motion back to nothing.
    """

    domain = SliceTrait(None, help="The slice shown; assign another one for inputs of the same shape.")
    start = SliceTrait(None, help="The slice that turn, tilt, shifts and size start from.").tag(
        setting="run", control=False
    )
    anchors = Anchors(
        None, help="Ids of three samples that the plane goes through; None for a plane that was given."
    ).tag(setting="run", bar=True, label="Through samples", control=anchor_fields)
    turn = traitlets.Float(
        0.0, min=-180.0, max=180.0, help="Degrees by which the square turns in its plane, about its centre."
    ).tag(**_slider("Turn (°)", 1.0))
    tilt = traitlets.Float(
        0.0,
        min=-90.0,
        max=90.0,
        help="Degrees by which the plane tilts about its s axis towards w, the direction orthogonal to it in which the "
        "data vary most (without data a random one).",
    ).tag(**_slider("Tilt (°)", 1.0))
    shift_s = traitlets.Float(
        0.0, min=-2.0, max=2.0, help="How far the square is moved along s, in its own widths."
    ).tag(**_slider("Shift along s", 0.01))
    shift_t = traitlets.Float(
        0.0, min=-2.0, max=2.0, help="How far the square is moved along t, in its own heights."
    ).tag(**_slider("Shift along t", 0.01))
    shift_w = traitlets.Float(
        0.0,
        min=-2.0,
        max=2.0,
        help="How far the plane is moved off itself along its normal w, in lengths of the square's longer side.",
    ).tag(**_slider("Shift off the plane", 0.01))
    size = traitlets.Float(
        1.0, min=0.01, max=100.0, help="Factor by which the square is larger than the first one."
    ).tag(**_slider("Size", 0.02, log=True))

    _dataset: SliceData
    _first: tuple[Slice, tuple[int, int, int] | None]
    _sides: tuple[Side, ...] = ()
    _rebasing = False  # start, anchors and motion are being set together
    _moving = False  # domain is being set to what these say
    _chosen_here = False

    def _setup_slice(self, domain: Any, data: Any, labels: Any, given: dict[str, Any]) -> Slice:
        """Take slice and data, before ``super().__init__``; completes the settings given and returns the slice."""
        self._moved: tuple[Any, ...] = (None, None, None)
        self._normal: tuple[Any, ...] = (None, None)
        self._dataset = SliceData(data, labels)
        anchors, start = given.get("anchors"), given.get("start")
        if anchors is not None:
            if domain is not None and start is None:
                raise NetgeomError("Both a domain and three samples were given.", expected="domain or anchors")
            start = self._through(anchors)
        elif start is None and domain is None:
            start, anchors = self._first_choice()
            self._chosen_here = anchors is not None
        start = as_slice(domain if start is None else start)
        given |= {"start": start, "anchors": anchors}
        self._first = (start, None if anchors is None else three_ids(anchors))
        motion = {name: given[name] for name in MOTION if isinstance(given.get(name), int | float)}
        domain = self._slice_of({**_still(self), **motion, "start": start})
        self._dataset.on(domain)
        return domain

    def _first_choice(self) -> tuple[Slice, tuple[int, int, int] | None]:
        """A slice for data that came without one."""
        if self._dataset.inputs is None:
            raise NetgeomError(
                "There is neither a slice nor data to lay one through.",
                expected="a domain, or data",
                try_this="RegionExplorer(model, Slice.box(-1, 1, -1, 1)) or RegionExplorer(model, data=x)",
            )
        if self._dataset.has_two_entries:
            return box_around(self._dataset.inputs), None
        anchors = central_samples(self._dataset.inputs)
        return self._through(anchors), anchors

    def _setup_settings(self, given: dict[str, Any]) -> None:
        super()._setup_settings(given)  # type: ignore[misc]  # of AnalysisWidget
        self._set_domain()

    # ---- from settings to a slice

    def _slice_of(self, settings: dict[str, Any]) -> Slice:
        """What start and motion give; the same object as long as they stay the same."""
        start, motion = settings["start"], Motion(**{name: settings[name] for name in MOTION})
        held = self._moved  # read once: two threads ask
        if held[:2] != (start, motion):
            normal = self._normal_of(start) if motion.leaves_plane else None
            held = self._moved = (start, motion, motion.moved(start, normal))
        return held[2]  # type: ignore[no-any-return]

    def _normal_of(self, start: Slice) -> np.ndarray | None:
        if start.u.size < 3:
            return None
        held = self._normal
        if held[0] is not start:
            held = self._normal = (start, normal_direction(start, self._dataset.inputs))
        return held[1]  # type: ignore[no-any-return]

    def _through(self, anchors: Any) -> Slice:
        """The plane of three samples."""
        try:
            ids = three_ids(anchors)
        except (TypeError, ValueError, AttributeError):
            raise bad_setting("anchors", "anchors has a bad value.", Anchors.info_text, anchors) from None
        known = range(len(self._dataset))
        if any(i not in known for i in ids):
            raise bad_setting("anchors", "There is no such sample.", f"ids {ids_in_words(known)}", ids)
        if len(set(ids)) < 3:
            raise bad_setting("anchors", "A sample is named twice.", "three different samples", ids)
        try:
            return Slice.through(*(self._dataset.inputs[i] for i in ids))  # type: ignore[index]
        except NetgeomError:
            expected = "three samples that span a plane"
            raise bad_setting("anchors", "The three samples lie on a line.", expected, ids) from None

    def _validate(self, settings: dict[str, Any]) -> None:
        start = settings["start"]
        shape = self._first[0].origin.shape
        if start is None or start.origin.shape != shape:
            got = "None" if start is None else f"{start.origin.shape}"
            raise bad_setting("start", "The slice does not fit the network.", f"a slice of inputs {shape}", got)
        if settings["anchors"] is not None:
            self._through(settings["anchors"])
        for name in OFF_PLANE:
            if settings[name] and start.u.size < 3:
                raise bad_setting(name, "Two inputs leave no third direction.", "0", settings[name])
        super()._validate(settings)  # type: ignore[misc]

    @traitlets.validate("domain")
    def _check_domain(self, proposal: Any) -> Slice:
        domain, shape = as_slice(proposal["value"]), self._first[0].origin.shape
        if domain.origin.shape != shape:
            raise NetgeomError(
                "The slice does not fit the network.",
                expected=f"a slice of inputs {shape}",
                got=f"{domain.origin.shape}",
            )
        return domain

    # ---- what changes it

    @traitlets.observe("domain")
    def _domain_assigned(self, change: Any) -> None:
        if change["old"] is not None:
            self.view = None
        if not self._moving:
            self._rebase(change["new"], None)
            self._go_to_slice()

    def _setting_changed(self, name: str, kind: str) -> None:
        if name not in ("start", "anchors", *MOTION):
            super()._setting_changed(name, kind)  # type: ignore[misc]
            return
        if self._rebasing:
            return
        if name == "start":
            self._rebase(self.start, None)
        elif name == "anchors" and self.anchors is not None:
            self._rebase(self._through(self.anchors), self.anchors)
        self._go_to_slice()

    def _rebase(self, start: Slice, anchors: tuple[int, int, int] | None) -> None:
        """Give another start, from which nothing is moved yet."""
        self._rebasing = True
        try:
            self._chosen_here = False
            self.start, self.anchors = start, anchors
            for name, value in _still(self).items():
                setattr(self, name, value)
        finally:
            self._rebasing = False

    def _set_domain(self) -> None:
        self._moving = True
        try:
            self.domain = self._slice_of(self._snapshot())  # type: ignore[attr-defined]
        finally:
            self._moving = False

    def _go_to_slice(self) -> None:
        """Show the slice that the settings say."""
        self._set_domain()
        self._show_slice()
        if self._waits_for_run:  # type: ignore[attr-defined]
            super()._setting_changed("start", "run")  # type: ignore[misc]
        else:
            self._run_live()

    def reset_slice(self) -> None:
        """Go back to the slice that the explorer began with."""
        self._check_open()  # type: ignore[attr-defined]
        start, anchors = self._first
        self._rebase(start, anchors)
        self._go_to_slice()

    def _show_slice(self) -> None:
        """Show in the controls which slice it is."""

    # ---- what a run and its picture need to know

    def _layers_shown(self, publish: Callable[[Any], None], domain: Slice) -> Callable[[Any], None] | None:
        """How the first layers of a run appear: at once, not at all, or only where the whole takes long."""
        last = self._last_good  # type: ignore[attr-defined]
        if last is None:
            return publish
        if last[0].domain == domain:
            # The picture of another step stays until this one is finished: parts of one would only flicker.
            return None if self._steps else publish  # type: ignore[attr-defined]
        if len(self._sides) > 1:
            return None  # two pictures of one slice go to another together
        started = time.monotonic()

        def later(partial: Any) -> None:
            if time.monotonic() - started >= _PATIENCE:
                publish(partial)

        return later

    def _follow_slice(self, domain: Slice, samples: SliceSamples) -> None:
        """Have the figure go where the partition to be drawn lies; called with the lock held."""
        if self._figure.domain == domain:
            return
        for side in self._sides:
            side.figure.move(domain, samples)
        if self._inputs is not None:
            self._inputs.move(domain)
        self._points = samples
        self._seen = self.view
        if self.view is not None:  # set since the slice was
            self._figure.look_at(Window(*self.view))


def _still(owner: traitlets.HasTraits) -> dict[str, Any]:
    """The motion that moves nothing."""
    return {name: owner.traits()[name].default() for name in MOTION}
