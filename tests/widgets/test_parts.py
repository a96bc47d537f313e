"""Tests of the parts under a figure as such, on a small analysis: widgets/parts.py."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest
import traitlets
from bokeh.plotting import figure

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.part import Part
from netgeom_widgets.widgets.parts import Parts
from netgeom_widgets.widgets.sample_list import MOST_LISTED, SampleList
from netgeom_widgets.widgets.similarity_subject import Subject
from tests.widgets.conftest import maker
from tests.widgets.dummy import Squares
from tests.widgets.waiting import wait_for


class SumPart(Part):
    """Sums what is shown, times a factor; slow, failing and lacking at will."""

    key, title, tooltip, options = "total", "Total", "The sum", ("factor", "sign")

    def __init__(self):
        self.computed, self.drawn = [], []
        self.gate, self.first = threading.Event(), threading.Event()
        self.gate.set()
        self.bad = False

    def needed(self, options):
        return options if options["factor"] > 1 else {**options, "sign": 1}

    def lacks(self, subject, options):
        return "nothing to multiply with" if options["factor"] == 0 else ""

    def compute(self, subject, options, *, progress, cancel, publish):
        self.computed.append((len(subject.similarity), options["factor"]))
        publish(-1.0)
        self.first.set()
        while not self.gate.wait(0.005):
            progress.update(1, 2, "half way")
            cancel.checkpoint()
        if self.bad:
            raise ZeroDivisionError("<b>no sum</b>")
        return float(np.sum(subject.similarity) * options["factor"])

    def make(self):
        self.plot = figure(width=100, height=100)
        return self.plot

    def draw(self, found, subject):
        self.drawn.append(found)
        self.plot.title.text = f"{found:g}"

    def words(self, found, subject):
        return f"sum {found:g}"

    def arrays(self, found):
        return {"sum": np.array(found)}


class WithPart(Parts, Squares):
    total = traitlets.Bool(False).tag(setting="mark")
    factor = traitlets.Int(1).tag(setting="draw")
    sign = traitlets.Int(1).tag(setting="draw")

    def _make_parts(self):
        self.part = SumPart()
        return [self.part]

    def _subject(self):
        held = self.__dict__.get("_held")
        if held is None or held.similarity is not self.result:
            self._held = held = None if self.result is None else Subject(self.result, None, None)
        return held


make = maker(partial(WithPart, count=4))


def fold(widget):
    return widget._shown_parts["total"].fold


def test_a_part_is_computed_only_while_it_is_open_and_once_for_each_result_and_option(make):
    widget = make()
    widget.wait(10)
    assert widget.part.computed == [] and fold(widget).pane is None
    widget.total = True
    widget.wait(10)
    assert widget.part.computed == [(4, 1)] and widget.part.drawn == [-1.0, 14.0]
    assert fold(widget).words == "sum 14" and fold(widget).pane.layout.display is None
    widget.total = False
    widget.count = 5
    widget.wait(10)
    assert len(widget.part.computed) == 1
    widget.total = True
    widget.wait(10)
    widget.factor = 2
    widget.wait(10)
    assert widget.part.computed == [(4, 1), (5, 1), (5, 2)] and fold(widget).words == "sum 60"
    widget.total = False
    widget.total = True
    widget.wait(10)
    assert len(widget.part.computed) == 3
    assert widget._part_arrays() == {"total_sum": 60.0}
    assert widget.part.plot in widget._exported_parts()


def test_an_option_without_effect_beside_the_others_computes_nothing(make):
    widget = make(total=True)
    widget.wait(10)
    widget.sign = -1
    widget.wait(10)
    assert len(widget.part.computed) == 1 and fold(widget).words == "sum 14"
    widget.factor = 2
    widget.wait(10)
    widget.sign = 1
    widget.wait(10)
    assert len(widget.part.computed) == 3


def test_a_part_opened_before_the_first_result_follows_it(make):
    widget = make(total=True, autorun=False)
    assert widget.part.computed == []
    widget.run()
    widget.wait(10)
    assert fold(widget).words == "sum 14" and fold(widget)._button.value


def test_what_is_missing_is_said_and_no_figure_shown(make):
    widget = make(total=True)
    widget.wait(10)
    widget.factor = 0
    widget.wait(10)
    assert fold(widget).words == "nothing to multiply with" and fold(widget).pane.layout.display == "none"
    assert widget._part_arrays() == {} and widget.part.plot not in widget._exported_parts()


def test_an_error_is_shown_as_text_and_raised_by_wait_until_the_fold_is_closed(make):
    widget = make()
    widget.wait(10)
    widget.part.bad = True
    widget.total = True
    with pytest.raises(ZeroDivisionError):
        widget.wait(10)
    assert widget.status == "done" and "&lt;b&gt;no sum" in fold(widget)._error.value
    assert fold(widget)._error.layout.display is None and fold(widget).pane.layout.display == "none"
    widget.total = False
    widget.wait(10)
    widget.part.bad = False
    widget.total = True
    widget.wait(10)
    assert fold(widget)._error.layout.display == "none" and fold(widget).words == "sum 14"


def test_work_can_be_stopped_and_begun_again(make):
    widget = make()
    widget.wait(10)
    widget.part.gate.clear()
    widget.total = True
    assert widget.part.first.wait(10)
    wait_for(lambda: fold(widget).words == "half way")
    assert fold(widget)._button_of_work.icon == "stop" and fold(widget)._bar.layout.display is None
    fold(widget)._button_of_work.click()
    widget.wait(10)
    assert fold(widget).words == "stopped" and fold(widget)._button_of_work.icon == "play"
    assert widget.part.drawn == [-1.0] and fold(widget).pane.layout.display is None  # the part of it stays
    widget.part.gate.set()
    fold(widget)._button_of_work.click()
    widget.wait(10)
    assert fold(widget).words == "sum 14" and fold(widget)._button_of_work.layout.display == "none"


def test_cancel_and_a_new_run_end_the_work_of_the_old_result(make):
    widget = make()
    widget.wait(10)
    widget.part.gate.clear()
    widget.total = True
    assert widget.part.first.wait(10)
    widget.cancel()
    widget.wait(10)
    assert fold(widget).words == "stopped"
    widget.part.first.clear()
    widget.factor = 3
    assert widget.part.first.wait(10)
    widget.part.gate.set()
    widget.count = 6
    widget.wait(10)
    assert widget.part.computed[-1] == (6, 3) and fold(widget).words == "sum 165"


def test_state_opens_the_fold_again_and_close_ends_the_work(make):
    widget = make(total=True)
    widget.wait(10)
    again = WithPart.from_state(widget.state())
    try:
        again.wait(10)
        assert again.total and fold(again).words == "sum 14"
        again.part.gate.clear()
        again.part.first.clear()
        again.factor = 5
        assert again.part.first.wait(10)
    finally:
        again.close()
    assert not again._part_worker.is_busy() and again._shown_parts["total"].of is None


def test_a_list_calls_back_for_what_is_chosen_and_shows_no_more_than_a_reader_reads():
    chosen = []
    shown = SampleList("samples", chosen.append)
    assert shown.layout.display == "none"
    shown.show([(f"sample {i}", i) for i in range(MOST_LISTED + 9)])
    assert shown.layout.display is None and len(shown.options) == MOST_LISTED and shown.value is None
    shown.value = 7
    shown.show([("other", 3)])
    assert chosen == [7]


def test_a_bad_option_does_not_reach_a_part(make):
    widget = make(total=True)
    with pytest.raises(NetgeomError):
        widget.factor = "many"
