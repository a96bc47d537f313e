"""The step of a recording that a widget shows: the trait, its control, and play."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.controls import icon_button
from netgeom_widgets.widgets.settings import shortened
from netgeom_widgets.widgets.ticking import Ticker

PACE = 0.5  # seconds that play shows a step at least
_POLL = 0.04  # seconds between looks at whether the picture of a step is finished


class StepNumber(traitlets.TraitType):
    """A step as the recording counts it, or None; takes numpy's whole numbers too."""

    info_text = "the number of a recorded step, or None"
    default_value = None

    def default(self, obj: Any = None) -> int | None:
        """The last recorded step, also where a subclass declares the trait anew."""
        return obj.steps[-1] if obj is not None and obj.steps else None

    def validate(self, obj: Any, value: Any) -> int | None:
        """Turn the value into an int, or refuse it."""
        if value is None:
            return None
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            self.error(obj, value)
        return int(value.__index__())


class StepControl(ipywidgets.Box):
    """Previous, slider, next and play; it knows no recording, and calls back for what is asked.

    Parameters
    ----------
    go : callable
        Called with the position of the step wanted, counted from 0.
    play : callable
        Called with True to play and False to pause.
    """

    def __init__(self, *, go: Callable[[int], None], play: Callable[[bool], None]) -> None:
        self._go, self._play = go, play
        self._shown = (0, False)  # what it was told to show: anything else comes from the user
        self._previous = icon_button("step-backward", "Previous step", lambda: self._go(self.slider.value - 1))
        self._next = icon_button("step-forward", "Next step", lambda: self._go(self.slider.value + 1))
        self.slider = ipywidgets.IntSlider(
            description="Step",
            tooltip="Which recorded step is shown",
            min=0,
            max=1,
            readout=False,
            style={"description_width": "initial"},
            layout={"flex": "1 1 140px", "max_width": "360px", "width": "auto"},
        )
        self.play = ipywidgets.ToggleButton(icon="play", tooltip="Play the steps", layout={"width": "36px"})
        self._words = ipywidgets.Label(tooltip="The step shown", layout={"margin": "0 0 0 6px"})
        buttons = ipywidgets.Box([self._previous, self.play, self._next], layout={"overflow": "visible"})
        layout = {"flex_flow": "row wrap", "align_items": "center", "overflow": "visible", "display": "none"}
        super().__init__([buttons, self.slider, self._words], layout=layout)
        self.slider.observe(self._moved, "value")
        self.play.observe(self._pressed, "value")

    def show(self, steps: Sequence[int], position: int, playing: bool) -> None:
        """Show one of the recorded steps by its position, and whether they are played; hidden without steps."""
        count, position = len(steps), max(position, 0)
        self._shown = (position, playing)
        self.slider.max = max(count - 1, 1)
        self.slider.value = position
        self.play.value = playing
        self.play.icon = "pause" if playing else "play"
        self.play.tooltip = "Pause" if playing else "Play the steps"
        self.play.disabled = self.slider.disabled = count < 2
        self._previous.disabled, self._next.disabled = position <= 0, position >= count - 1
        if count:
            self._words.value = _in_words(steps, position)
            # As wide for each step as for the last one: a row that wraps now and then would move the figure.
            self._words.layout.min_width = f"{len(_in_words(steps, count - 1))}ch"
        self.layout.display = None if count else "none"

    def _moved(self, change: Any) -> None:
        if change["new"] != self._shown[0]:
            self._go(change["new"])

    def _pressed(self, change: Any) -> None:
        if change["new"] != self._shown[1]:
            self._play(change["new"])


class Stepping(traitlets.HasTraits):
    """Mixin of an AnalysisWidget, before it among the bases: one recorded step is shown, any other on request, or all.

    The widget assigns ``_steps`` before ``super().__init__`` and calls :meth:`_set_steps` when more were recorded. A
    change of ``step`` draws the marks again; a widget that must compute for it redeclares the trait with the tag
    ``setting="run"``. Play shows the next step when the picture of the last one is finished and drawn in the browser,
    twice a second at most. ``wait()`` waits for the end of play too.
    """

    step = StepNumber(help="The recorded step shown, as the recording counts; None without a recording.").tag(
        setting="mark", control=False
    )
    playing = traitlets.Bool(False, read_only=True, help="Whether the steps are shown one after another.")

    _steps: tuple[int, ...] = ()  # increasing
    _left_behind: int | None = None  # the step shown, which was the last one, where later ones were not to be followed
    _step_control: StepControl | None = None
    _stepped_at = 0.0

    def _setup_runs(self, **options: Any) -> None:
        super()._setup_runs(**options)  # type: ignore[misc]  # of AnalysisWidget
        self._player = Ticker(self._play_on, name="netgeom-play")
        self._workers = (*self._workers, self._player)  # wait() waits for it too, close() ends it

    def _bars(self) -> list[ipywidgets.Widget]:
        self._step_control = StepControl(go=self._go_to_position, play=self._play_pressed)
        self._show_step()
        return [*super()._bars(), self._step_control]  # type: ignore[misc]

    # ---- the steps

    @property
    def steps(self) -> tuple[int, ...]:
        """The recorded steps that can be shown."""
        return self._steps

    @property
    def step_position(self) -> int:
        """Where the step shown stands among the recorded ones, counted from 0; -1 without steps."""
        return -1 if self.step is None else bisect_left(self._steps, self.step)

    def _set_steps(self, steps: Iterable[int], *, follow: bool = True) -> None:
        """Take note of further steps; with ``follow``, a widget that showed the last one shows the new last one.

        Without, it stays where it is, and goes on from there with the next steps that are followed.
        """
        was_last = not self._steps or self.step in (self._steps[-1], self._left_behind)
        self._steps = tuple(int(step) for step in steps)
        self._left_behind = self.step if was_last and not follow else None
        if self._steps and (self.step not in self._steps or (follow and was_last and not self.playing)):
            self.step = self._steps[-1]
        self._show_step()

    @traitlets.validate("step")
    def _check_step(self, proposal: Any) -> int | None:
        step = proposal["value"]
        if step in self._steps or (step is None and not self._steps):
            return step
        if not self._steps:
            raise NetgeomError("There are no recorded steps here.", expected="None", got=str(step))
        raise NetgeomError("This step was not recorded.", expected=f"one of {shortened(self._steps, 9)}", got=str(step))

    @traitlets.observe("step")
    def _note_step(self, _: Any) -> None:
        self._stepped_at = time.monotonic()
        self._show_step()

    @traitlets.observe("playing")
    def _show_step(self, _: Any = None) -> None:
        if self._step_control is not None:
            self._step_control.show(self._steps, self.step_position, self.playing)

    def _go_to_position(self, position: int) -> None:
        """Answer the control; a user who goes somewhere by hand wants to stay there."""
        self.pause()
        if self._steps:
            self.step = self._steps[min(max(position, 0), len(self._steps) - 1)]

    # ---- play

    def play(self) -> None:
        """Show one recorded step after another up to the last; from the last one, start again at the first.

        Returns at once. It ends by itself at the last step, with :meth:`pause`, :meth:`cancel`, :meth:`close` and with
        a run that fails.

        Raises
        ------
        NetgeomError
            When fewer than two steps are recorded, or the widget is closed.
        """
        self._check_open()
        if len(self._steps) < 2:
            raise NetgeomError(
                "There is nothing to play.", expected="at least two recorded steps", got=str(len(self._steps))
            )
        if self.step == self._steps[-1]:
            self.step = self._steps[0]
        self.set_trait("playing", True)
        self._player.start(_POLL)

    def pause(self) -> None:
        """Stay at the step shown; nothing happens when nothing plays."""
        self._player.stop()
        self.set_trait("playing", False)

    def cancel(self) -> None:
        """Stop the run and play; the last finished picture stays. Returns at once."""
        self.pause()
        super().cancel()  # type: ignore[misc]

    def close(self) -> None:
        """Close the widget; see :meth:`AnalysisWidget.close`."""
        if not self.__dict__.get("_closed", True):
            self.pause()
        super().close()  # type: ignore[misc]

    def _play_pressed(self, wanted: bool) -> None:
        try:
            if wanted:
                self.play()
            else:
                self.pause()
        except NetgeomError as error:
            self._say(str(error))

    def _play_on(self) -> float | None:
        """Show the next step if it is time; the player's thread calls this again after the seconds returned."""
        if self._closed or not self.playing:
            return None
        left = self._stepped_at + PACE - time.monotonic()
        if left > 0:
            return left
        if self._worker.is_busy() or self._painter.is_busy() or self.pane.busy:
            return _POLL
        following = bisect_left(self._steps, self.step) + 1
        try:
            if following < len(self._steps):
                self.step = self._steps[following]
                return PACE
        except Exception as error:  # noqa: BLE001  # of an observer; shown in the widget, and raised by wait()
            self._fail(error)
        self.set_trait("playing", False)
        return None

    @traitlets.observe("status")
    def _end_play(self, change: Any) -> None:
        if self.playing and change["new"] in ("error", "cancelled"):
            self.pause()


def _in_words(steps: Sequence[int], position: int) -> str:
    return f"{steps[position]:,} ({position + 1:,} of {len(steps):,})"


def missing_position(known: Sequence[bool]) -> int | None:
    """What to compute next of a curve over the steps: the ends first, then always the middle of the widest gap."""
    have = [at for at, is_known in enumerate(known) if is_known]
    if len(have) == len(known):
        return None
    for end in (0, len(known) - 1):
        if not known[end]:
            return end
    gap, start = max((after - before, -before) for before, after in pairwise(have))
    return -start + gap // 2
