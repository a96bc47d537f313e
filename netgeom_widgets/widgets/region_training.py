"""Mixin of the region explorer: the network of any recorded step of training, and the way back to steps seen before."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import traitlets

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels.regions import Slice, compile_partition
from netgeom_widgets.widgets.checkpoints import Checkpoints
from netgeom_widgets.widgets.following import Following
from netgeom_widgets.widgets.region_view import Kernel, Prepared
from netgeom_widgets.widgets.steps import StepNumber, Stepping

_KEPT_BYTES = 1 << 28  # partitions of recent steps; one of 10,000 regions takes about 30 MB with its picture

Key = tuple[int, float, int, Slice]  # step, tolerance, max_regions, slice


class RecentSteps:
    """Prepared partitions, the least recently used ones forgotten beyond a number of bytes; the newest always stays."""

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self._limit = limit
        self._kept: OrderedDict[Key, tuple[Prepared, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Prepared | None:
        """What was put there, if it is still kept."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Key, prepared: Prepared) -> None:
        """Keep one more."""
        with self._lock:
            self._kept[key] = (prepared, prepared.n_bytes)
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self._limit:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)


class Training(Stepping, Following):
    """What the checkpoints of a training run add to the explorer: which network is shown, chosen by ``step``."""

    step = StepNumber(help="The training step whose network is shown; None without checkpoints.").tag(
        setting="run", control=False
    )
    common_scale = traitlets.Bool(
        True,
        help="Colour all steps seen so far, and two networks side by side, by one scale; otherwise each by its own.",
    ).tag(setting="draw", label="One colour scale for all")

    _checkpoints: Checkpoints | None = None
    _compiled: tuple[Any, Kernel] | None = None  # of the step shown last: other slices of it need no new copy

    def _setup_training(self, model: Any, checkpoints: Any) -> None:
        """Take the checkpoints; called before ``super().__init__``."""
        self._recent = RecentSteps()
        if checkpoints is not None:
            self._checkpoints = Checkpoints.of(model, checkpoints)
            self._steps = self._checkpoints.steps

    def _follow_training(self) -> None:
        """Look out for further steps; called once the widget is there."""
        if self._checkpoints is not None:
            self._follow(self._checkpoints)

    def _recording_grew(self) -> None:
        if self._checkpoints is not None:
            self._set_steps(self._checkpoints.steps)

    def _recording_rested(self) -> None:
        self._recording_grew()  # a run may have taken note of steps, and left the one it showed

    def _kernel_at(self, step: int, domain: Slice, **limits: Any) -> Kernel:
        """What computes partitions of the network at a step."""
        assert self._checkpoints is not None  # noqa: S101 - there is no step without checkpoints
        return compile_partition(self._checkpoints.model(self._steps.index(step)), domain, **limits)

    def _kernel_for(self, step: int, domain: Slice, limits: dict[str, Any]) -> Kernel:
        key = (step, limits)
        if self._compiled is None or self._compiled[0] != key:
            self._compiled = (key, self._kernel_at(step, domain, **limits))
        return self._compiled[1]

    def _prepare_step(
        self, settings: dict[str, Any], domain: Slice, *, progress: Progress, cancel: Cancel, on_layer: Any
    ) -> Prepared:
        """The partition of the network at ``settings["step"]``, at once if it is kept from before."""
        self._refresh_if_asked()
        if self._checkpoints is not None:
            self._set_steps(self._checkpoints.steps, follow=False)
        step, limits = settings["step"], {name: settings[name] for name in ("tolerance", "max_regions")}
        key = (step, *limits.values(), domain)
        prepared = self._recent.get(key)
        if prepared is None:
            kernel = self._kernel_for(step, domain, limits)
            result = kernel(domain, on_layer=on_layer, progress=progress, cancel=cancel)
            prepared = self._prepare(result, kernel, progress, cancel)
            self._recent.put(key, prepared)
        return prepared

    def close(self) -> None:
        """Close the widget; see :meth:`AnalysisWidget.close`."""
        super().close()
        if "_recent" in self.__dict__:
            self._recent.clear()
