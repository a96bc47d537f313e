"""Tests of netgeom_widgets/widgets/following.py with a dummy that grows on request."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from netgeom_widgets.widgets import following
from netgeom_widgets.widgets.following import Following
from tests.widgets.dummy import Squares
from tests.widgets.waiting import wait_for


class Growing:
    """Something that is written elsewhere."""

    def __init__(self):
        self.written = self.seen = 3
        self.finished = False
        self.looks = []
        self.threads = set()

    def refresh(self):
        self.looks.append(time.monotonic())
        self.threads.add(threading.current_thread().name)
        grew, self.seen = self.written > self.seen, self.written
        return grew


class Growth(Following, Squares):
    """As many squares as were written."""

    def __init__(self, source, **kwargs):
        self.source = source
        super().__init__(**kwargs)
        self._follow(source)

    def _recording_grew(self):
        self._run_again(debounce=0.0)

    def _compute(self, settings, **more):
        self._refresh_if_asked()
        return super()._compute({**settings, "count": self.source.seen}, **more)


@pytest.fixture
def source(monkeypatch):
    monkeypatch.setattr(following, "FASTEST", 0.05)
    monkeypatch.setattr(following, "SLOWEST", 0.3)
    return Growing()


@pytest.fixture
def make(source):
    made = []

    def make(**kwargs):
        made.append(Growth(source, **kwargs))
        return made[-1]

    yield make
    for widget in made:
        widget.close()


def test_growth_starts_a_run_on_the_workers_thread(make, source):
    widget = make()
    wait_for(lambda: widget.result is not None and len(widget.result) == 3)
    source.written = 7
    wait_for(lambda: len(widget.result) == 7)
    assert source.threads == {"netgeom-run"}


def test_looks_become_rare_where_nothing_happens_and_frequent_again(make, source):
    widget = make()
    wait_for(lambda: len(source.looks) > 9)
    gaps = np.diff(source.looks)
    assert gaps[-1] > 2 * gaps[1] and gaps.min() >= 0.045
    source.written = 5
    wait_for(lambda: len(widget.result) == 5)
    assert widget._pace <= 1.6 * following.FASTEST


def test_a_finished_recording_is_left_until_run_finds_it_resumed(make, source):
    widget = make()
    widget.wait(10)
    source.finished = True
    wait_for(lambda: not widget._follower.is_busy())
    source.finished, source.written = False, 5
    time.sleep(0.2)
    assert len(widget.result) == 3
    widget.run()
    widget.wait(10)
    assert len(widget.result) == 5 and widget._controls["live"].box.layout.display is None
    source.written = 8
    wait_for(lambda: len(widget.result) == 8)


def test_the_control_is_there_while_there_is_something_to_follow(make, source):
    box = make()._controls["live"].box
    assert box.layout.display is None
    refresh = source.refresh

    def closed():
        source.finished = True
        return refresh()

    source.refresh = closed
    wait_for(lambda: box.layout.display == "none")
    assert make()._controls["live"].box.layout.display == "none"


def test_nothing_is_taken_up_while_somebody_waits_or_a_run_is_under_way(make, source):
    widget = make(delay=0.1)
    wait_for(lambda: widget.progress > 0)
    source.written = 9
    widget.wait(10)
    assert len(widget.result) == 3
    wait_for(lambda: len(widget.result) == 9, 20)


def test_not_live_means_no_looks_but_run_looks_once(make, source):
    widget = make(live=False)
    widget.wait(10)
    source.written = 4
    time.sleep(0.2)
    looks = len(source.looks)
    assert len(widget.result) == 3
    widget.run()
    widget.wait(10)
    assert (len(widget.result), len(source.looks)) == (4, looks + 1)
    source.written = 6
    widget._controls["live"].widget.value = True
    wait_for(lambda: len(widget.result) == 6)


def test_a_cancelled_run_rests(make, source):
    widget = make(delay=0.2)
    wait_for(lambda: widget.status == "running")
    widget.cancel()
    wait_for(lambda: widget.status == "cancelled")
    source.written = 9
    time.sleep(0.3)
    assert widget.status == "cancelled" and widget.result is None


def test_what_cannot_be_read_any_more_is_said_and_left(make, source, monkeypatch):
    widget = make()
    widget.wait(10)

    def gone():
        raise FileNotFoundError("gone")

    monkeypatch.setattr(source, "refresh", gone)
    wait_for(lambda: widget.status == "error")
    assert not widget.live
    with pytest.raises(FileNotFoundError):
        widget.wait(10)


def test_it_keeps_no_widget_alive_and_ends_with_it(source):
    widget = Growth(source)
    widget.wait(10)
    thread = next(t for t in threading.enumerate() if t.name == "netgeom-follow")
    widget.close()
    assert not thread.is_alive()
    ref = weakref.ref(widget)
    del widget
    gc.collect()
    assert ref() is None
