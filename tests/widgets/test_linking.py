"""Tests of netgeom_widgets/widgets/linking.py."""

from __future__ import annotations

import threading

import ipywidgets
import pytest
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets import link
from tests.widgets.conftest import maker
from tests.widgets.dummy import Squares


class Steps(Squares):
    step = traitlets.Int(0)


make = maker(lambda cls=Squares, *args, **kwargs: cls(*args, autorun=False, **kwargs))


def test_the_second_takes_the_value_of_the_first_and_both_stay_equal(make):
    a, b = make(selection=[1]), make(selection=[2])
    joined = link(a, b)
    assert a.selection == b.selection == (1,)
    b.selection = [3, 4]
    assert a.selection == (3, 4)
    a.selection = []
    assert b.selection == ()
    assert repr(joined) == "<Link of selection: Squares and Squares>"
    joined.unlink()
    joined.unlink()
    a.selection = [5]
    assert b.selection == ()


def test_three_widgets_in_a_ring(make):
    a, b, c = make(), make(), make()
    for pair in ((a, b), (b, c), (c, a)):
        link(*pair, "selection")
    c.selection = [7]
    assert a.selection == b.selection == (7,)


def test_steps(make):
    a, b = make(Steps), make(Steps)
    link(a, b, "step")
    b.step = 4
    assert a.step == 4


def test_two_threads_end_with_equal_values(make):
    a, b = make(), make()
    link(a, b)
    threads = [
        threading.Thread(target=lambda w=w, o=o: [setattr(w, "selection", [i % 50 + o]) for i in range(200)])
        for w, o in ((a, 0), (b, 5))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert a.selection == b.selection


def test_closing_one_side_leaves_the_other_alone(make):
    a, b = make(), make()
    joined = link(a, b)
    b.close()
    a.selection = [1]
    assert b.selection == ()
    joined.unlink()


def test_what_cannot_be_linked_is_refused(make):
    a = make()
    with pytest.raises(NetgeomError, match=r"different samples\. Expected: equally many samples\. Got: 60 and 10"):
        link(a, make(Squares, 10))
    link(a, make(Squares, None))  # not knowable
    named = make()
    named._sample_ids = lambda: frozenset(range(1, 61))
    with pytest.raises(
        NetgeomError, match=r"the same sample ids\. Got: from 0 to 59, and among 1, 2, 3, 4, \.\.\., 57"
    ):
        link(a, named)
    with pytest.raises(NetgeomError, match="Expected: 'selection' or 'step'"):
        link(a, make(), "colour")
    with pytest.raises(NetgeomError, match="Squares has no step"):
        link(a, make(), "step")
    with pytest.raises(NetgeomError, match="IntSlider has no selection"):
        link(a, ipywidgets.IntSlider())
    with pytest.raises(NetgeomError, match="itself"):
        link(a, a)
