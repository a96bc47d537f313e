"""Tests of netgeom_widgets/widgets/steps.py and ticking.py."""

from __future__ import annotations

import gc
import json
import threading
import time
import weakref

import numpy as np
import pytest
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets import link
from netgeom_widgets.widgets import steps as steps_module
from netgeom_widgets.widgets.steps import StepNumber, Stepping
from netgeom_widgets.widgets.ticking import Ticker
from tests.widgets.dummy import Squares
from tests.widgets.waiting import wait_for

RECORDED = (0, 10, 20, 40)


class Marked(Stepping, Squares):
    """Draws its marks for a step."""

    def __init__(self, steps=RECORDED, **kwargs):
        self._steps = tuple(steps)
        self.marked = []
        super().__init__(**kwargs)

    def _draw_marks(self, result):
        self.marked.append(self.step)


class Computed(Marked):
    """Computes anew for a step."""

    step = StepNumber().tag(setting="run", control=False)

    def _compute(self, settings, *, progress, cancel, publish):
        if self.fails_at == settings["step"]:
            raise ZeroDivisionError("not this step")
        time.sleep(self.takes)
        cancel.checkpoint()
        return np.arange(3) + settings["step"]

    fails_at = None
    takes = 0.0


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(steps_module, "PACE", 0.02)
    made = []

    def make(cls=Marked, *args, **kwargs):
        made.append(cls(*args, **kwargs))
        made[-1].wait(10)
        return made[-1]

    yield make
    for widget in made:
        widget.close()


def control(widget):
    return widget._step_control


def words(widget):
    return control(widget)._words.value


# ---- the trait


def test_the_last_step_is_shown_first_and_any_recorded_one_can_be(make):
    widget = make()
    assert (widget.step, widget.steps, widget.step_position) == (40, RECORDED, 3)
    widget.step = np.int64(10)
    assert widget.step == 10 and type(widget.step) is int
    assert make(step=20).step == 20
    widget.wait(10)
    assert widget.marked[-1] == 10


@pytest.mark.parametrize("bad", [5, -1, 41, None])
def test_steps_that_were_not_recorded_are_refused_and_the_step_stays(make, bad):
    widget = make()
    with pytest.raises(NetgeomError, match="was not recorded") as caught:
        widget.step = bad
    assert "0, 10, 20, 40" in str(caught.value)
    assert widget.step == 40
    with pytest.raises(NetgeomError):
        make(step=5)


@pytest.mark.parametrize("bad", [True, 1.5, "10", [10]])
def test_what_is_no_number_is_refused(make, bad):
    with pytest.raises(traitlets.TraitError):
        make().step = bad


def test_a_long_list_of_steps_is_shortened_in_the_message(make):
    with pytest.raises(NetgeomError, match=r"0, 1, 2, 3, \.\.\., 96, 97, 98, 99"):
        make(Marked, range(100)).step = 100


def test_without_steps_there_is_none_and_no_control(make):
    widget = make(Marked, ())
    assert widget.step is None and widget.step_position == -1
    assert control(widget).layout.display == "none"
    with pytest.raises(NetgeomError, match="no recorded steps"):
        widget.step = 0
    with pytest.raises(NetgeomError, match="nothing to play"):
        widget.play()
    widget.step = None
    control(widget)._next.click()
    assert widget.step is None


def test_state_has_the_step(make):
    for cls in (Marked, Computed):
        state = json.loads(json.dumps(make(cls, step=10).state()))
        again = cls.from_state(state)
        try:
            again.wait(10)
            assert again.step == 10
            assert cls is Marked or again.result.tolist() == [10, 11, 12]
        finally:
            again.close()


# ---- the control


def test_the_control_shows_the_step_and_sets_it(make):
    widget = make()
    assert (control(widget).slider.value, control(widget).slider.max) == (3, 3)
    assert words(widget) == "40 (4 of 4)"
    assert control(widget)._next.disabled and not control(widget)._previous.disabled
    control(widget).slider.value = 1
    assert widget.step == 10 and words(widget) == "10 (2 of 4)"
    control(widget)._previous.click()
    assert widget.step == 0
    assert control(widget)._previous.disabled and not control(widget)._next.disabled
    control(widget)._previous.click()
    control(widget)._next.click()
    assert widget.step == 10
    widget.step = 20
    assert control(widget).slider.value == 2


def test_one_step_leaves_nothing_to_move(make):
    widget = make(Marked, (7,))
    assert control(widget).slider.disabled and control(widget).play.disabled
    assert words(widget) == "7 (1 of 1)"
    assert control(widget).layout.display is None


def test_every_control_has_a_tooltip(make):
    buttons, slider, words = control(make()).children
    assert all(part.tooltip for part in (*buttons.children, slider, words))


# ---- more steps


def test_a_widget_at_the_last_step_goes_on_to_a_new_one_and_others_stay(make):
    following, staying, asked = make(), make(step=10), make()
    following._set_steps((*RECORDED, 50))
    staying._set_steps((*RECORDED, 50))
    asked._set_steps((*RECORDED, 50), follow=False)
    assert (following.step, staying.step, asked.step) == (50, 10, 40)
    assert words(staying) == "10 (2 of 5)" and words(asked) == "40 (4 of 5)"
    staying.step = 50


def test_steps_that_a_run_did_not_follow_do_not_end_following(make):
    following, gone = make(), make()
    for widget in (following, gone):
        widget._set_steps((*RECORDED, 50), follow=False)
    gone.step = RECORDED[0]
    for widget in (following, gone):
        widget._set_steps((*RECORDED, 50, 60))
    assert following.step == 60 and gone.step == RECORDED[0]


def test_the_first_steps_of_a_recording_show_the_control(make):
    widget = make(Marked, ())
    widget._set_steps((0,))
    assert widget.step == 0 and control(widget).layout.display is None


# ---- play


@pytest.mark.parametrize("cls", [Marked, Computed])
def test_play_shows_every_step_in_turn_and_ends_at_the_last(make, cls):
    widget = make(cls)
    widget.marked.clear()
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "step")
    widget.play()
    assert widget.playing and control(widget).play.value and control(widget).play.icon == "pause"
    widget.wait(10)
    assert seen == list(RECORDED), "from the last step play starts again at the first"
    assert list(dict.fromkeys(widget.marked)) == list(RECORDED), "each was drawn before the next one came"
    assert not widget.playing and control(widget).play.icon == "play" and not control(widget).play.value
    assert cls is Marked or widget.result.tolist() == [40, 41, 42]


def test_play_goes_on_from_the_step_shown(make):
    widget = make(step=10)
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "step")
    control(widget).play.value = True
    widget.wait(10)
    assert seen == [20, 40]


def test_play_waits_for_a_slow_picture(make):
    widget = make(Computed, step=0)
    widget.takes = 0.15
    widget.play()
    started = time.monotonic()
    widget.wait(20)
    assert time.monotonic() - started >= 0.4, "three steps of 0.15 s"
    assert widget.result.tolist() == [40, 41, 42]


def test_play_keeps_the_pace(make, monkeypatch):
    monkeypatch.setattr(steps_module, "PACE", 0.2)
    widget = make(step=0)
    times = []
    widget.observe(lambda change: times.append(time.monotonic()), "step")
    widget.play()
    widget.wait(10)
    assert len(times) == 3 and np.diff(times).min() >= 0.19


def test_play_waits_for_a_browser_that_is_behind(make):
    widget = make(step=0)
    widget.pane._unseen_since = time.monotonic() + 3600.0
    widget.play()
    time.sleep(0.2)
    assert widget.step == 0 and widget.playing
    widget.pane._unseen_since = None
    widget.wait(10)
    assert widget.step == 40


def test_pause_stays_and_a_user_who_goes_somewhere_stays_there(make, monkeypatch):
    monkeypatch.setattr(steps_module, "PACE", 30.0)
    widget = make(step=0)
    widget.play()
    widget.pause()
    assert not widget.playing and widget.step == 0
    widget.wait(1)
    widget.play()
    control(widget).slider.value = 2
    assert not widget.playing and widget.step == 20
    widget.play()
    control(widget).play.value = False
    assert not widget.playing
    widget.play()
    widget.cancel()
    assert not widget.playing
    widget.pause()


def test_a_failing_step_ends_play_and_wait_raises_it(make):
    widget = make(Computed, step=0)
    widget.fails_at = 20
    widget.play()
    with pytest.raises(ZeroDivisionError):
        widget.wait(10)
    assert not widget.playing and widget.step == 20


def test_a_failing_observer_ends_play_and_wait_raises_it(make):
    widget = make(step=0)

    def fail(change):
        raise ArithmeticError("mine")

    widget.observe(fail, "step")
    widget.play()
    with pytest.raises(ArithmeticError):
        widget.wait(10)
    assert not widget.playing


def test_wait_in_a_callback_of_play_is_refused(make):
    widget = make(step=0)
    errors = []

    def callback(change):
        try:
            widget.wait(1)
        except RuntimeError as error:
            errors.append(str(error))

    widget.observe(callback, "step")
    widget.play()
    widget.wait(10)
    assert len(errors) == 3


def test_new_steps_are_played_too(make, monkeypatch):
    monkeypatch.setattr(steps_module, "PACE", 0.2)
    widget = make(step=20)
    widget.play()
    widget._set_steps((*RECORDED, 50))
    widget.wait(10)
    assert widget.step == 50


def test_close_ends_play(make, monkeypatch):
    monkeypatch.setattr(steps_module, "PACE", 0.05)
    before = threading.active_count()
    widget = make(Marked, range(10_000), step=0)
    widget.play()
    wait_for(lambda: widget.step > 0)
    widget.close()
    assert not widget.playing
    wait_for(lambda: threading.active_count() <= before)
    with pytest.raises(NetgeomError):
        widget.play()


def test_close_in_a_callback_of_play(make):
    widget = make(step=0)
    widget.observe(lambda change: widget.close(), "step")
    widget.play()
    wait_for(lambda: widget._closed and not widget._player.is_busy())


def test_a_closed_widget_that_played_is_collected(monkeypatch):
    monkeypatch.setattr(steps_module, "PACE", 0.05)
    widget = Marked(range(10_000), step=0, static_picture=False)
    widget.wait(10)
    widget.play()
    thread = widget._player._series.thread
    widget.close()
    reference = weakref.ref(widget)
    del widget
    thread.join(2)
    wait_for(lambda: (gc.collect(), reference() is None)[1])


def test_a_step_set_meanwhile_wins(make):
    widget = make(Computed, step=0)
    widget.takes = 0.3
    widget.step = 10
    widget.step = 20
    widget.wait(10)
    assert widget.result.tolist() == [20, 21, 22]


# ---- linked


def test_linked_widgets_play_together_and_a_step_that_one_has_not_read_yet_is_left_out(make):
    a, b = make(step=0), make(Computed)
    link(a, b, "step")
    assert b.step == 0
    seen = []
    b.observe(lambda change: seen.append(change["new"]), "step")
    a.play()
    a.wait(10)
    b.wait(10)
    assert seen == [10, 20, 40]
    a._set_steps((*RECORDED, 50))
    assert (a.step, b.step) == (50, 40)
    b._set_steps((*RECORDED, 50))
    assert (a.step, b.step) == (50, 50)


# ---- ticker


class Owner:
    def __init__(self, until=3):
        self.times, self.until = [], until
        self.ticker = Ticker(self.tick)

    def tick(self):
        self.times.append(time.monotonic())
        return 0.01 if len(self.times) < self.until else None


def test_a_ticker_ticks_until_told_to_end():
    owner = Owner()
    owner.ticker.start()
    assert owner.ticker.wait(5)
    assert len(owner.times) == 3 and not owner.ticker.is_busy()
    owner.until = 5
    owner.ticker.start(0.05)
    assert owner.ticker.is_busy() and not owner.ticker.wait(0.0)
    assert owner.ticker.wait(5) and len(owner.times) == 5
    owner.ticker.close()
    owner.ticker.close()
    owner.ticker.start()
    assert not owner.ticker.is_busy()


def test_a_ticker_starts_again_while_it_ticks_and_ticks_in_one_series():
    owner = Owner(until=10**9)
    before = threading.active_count()
    for _ in range(20):
        owner.ticker.start(0.005)
    time.sleep(0.05)
    assert threading.active_count() == before + 1
    owner.ticker.stop()
    assert owner.ticker.wait(1)
    owner.ticker.close()
    count = len(owner.times)
    time.sleep(0.05)
    assert len(owner.times) == count


def test_a_ticker_ends_with_its_owner():
    owner = Owner(until=10**9)
    owner.ticker.start()
    ref, thread = weakref.ref(owner), owner.ticker._series.thread
    del owner
    gc.collect()
    wait_for(lambda: (gc.collect(), ref() is None)[1])
    thread.join(2)
    assert not thread.is_alive()
