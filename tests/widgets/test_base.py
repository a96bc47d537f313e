"""Tests of netgeom_widgets/widgets/base.py, settings.py, outputs.py and frame.py with a dummy analysis."""

from __future__ import annotations

import gc
import json
import signal
import threading
import time
import weakref

import ipywidgets
import numpy as np
import pytest
import traitlets
from ipywidgets.widgets.widget import _instances

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import static
from netgeom_widgets.widgets import AnalysisWidget
from netgeom_widgets.widgets.controls import Control, expected_of
from tests.widgets.conftest import maker
from tests.widgets.dummy import Squares
from tests.widgets.waiting import wait_for

HOSTILE = '"><img src=x onerror=alert(1)>'


make = maker(Squares)


@pytest.fixture
def squares(make):
    widget = make()
    widget.wait(10)
    return widget


@pytest.fixture
def slow(make):
    """In the middle of a run that would take 5 minutes."""
    widget = make(count=5)
    widget.wait(10)
    widget.delay = 0.01
    widget.count = 60
    widget.delay = 5.0
    widget.run()
    wait_for(lambda: widget.status == "running")
    return widget


def drawn(widget):
    return widget.dots.data_source.data["y"].tolist()


# ---- runs


def test_the_first_run_starts_by_itself_and_wait_ends_with_the_result(make):
    widget = make(count=4)
    assert widget.status in ("running", "done")
    widget.wait(10)
    assert (widget.status, widget.progress) == ("done", 1.0)
    assert widget.result.tolist() == drawn(widget) == [0, 1, 4, 9]
    assert widget.message.startswith("squares=4 (")
    assert repr(widget) == "<Squares done squares=4>"


def test_without_autorun_nothing_starts_before_run(make):
    widget = make(autorun=False)
    widget.count = 3
    widget.wait(10)
    assert (widget.status, widget.result) == ("idle", None)
    assert widget.message == "press Run to apply the changed settings"
    widget.run()
    widget.wait(10)
    assert len(widget.result) == 3
    widget.count = 4
    widget.wait(10)
    assert len(widget.result) == 4


def test_the_result_is_the_very_object_of_the_kernel(make, monkeypatch):
    result = np.arange(3.0)
    monkeypatch.setattr(Squares, "_compute", lambda self, settings, **_: result)
    widget = make()
    widget.wait(10)
    assert widget.result is result


def test_a_run_setting_starts_a_new_run_and_of_a_drag_only_the_last_value_is_computed(squares):
    squares.draws.clear()
    for count in range(20, 40):
        squares.count = count
    squares.wait(10)
    assert len(squares.result) == 39
    assert {length for length, final in squares.draws if final} == {39}


def test_a_draw_setting_only_draws_again(squares):
    result = squares.result
    squares.colour = "orange"
    squares.wait(10)
    assert squares.dots.glyph.fill_color == "#e69f00"
    assert squares.result is result


def test_a_costly_setting_waits_for_run(squares):
    squares.delay = 0.001
    squares.wait(10)
    assert squares.message == "press Run to apply the changed settings"
    assert squares._frame.run.button_style == "primary"
    squares.count = 3  # starts a run, with the old delay
    squares.wait(10)
    assert squares._last_good[1] == {**squares.settings, "delay": 0.0}
    squares.run()
    squares.wait(10)
    assert squares._last_good[1]["delay"] == 0.001
    assert squares._frame.run.button_style == ""


def test_partial_results_are_drawn_and_the_last_is_final(make):
    widget = make(count=6, delay=0.12)
    widget.wait(20)
    partial = [length for length, final in widget.draws if not final]
    assert partial
    assert partial == sorted(partial)
    assert [length for length, final in widget.draws if final] == [6]


def test_run_while_running_takes_the_place_of_the_old_run(slow):
    slow.delay = 0.0
    slow.count = 7
    slow.run()
    slow.wait(20)
    assert (slow.status, len(slow.result)) == ("done", 7)


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_run_asked_for_while_the_last_one_ends_is_said_to_run(make, monkeypatch, cancelled):
    widget = make(count=5)
    widget.wait(10)
    widget.delay = 5.0
    summary = type(widget)._summary

    def ending(self):  # asked for the status line at the very end of a run
        monkeypatch.setattr(type(widget), "_summary", summary)
        self.run()
        if cancelled:
            self.cancel()
        return summary(self)

    monkeypatch.setattr(type(widget), "_summary", ending)
    widget.count = 4  # a run without the delay, which waits for Run
    wait_for(lambda: widget.delay == 5.0 and widget._run_number == 3)
    if cancelled:
        widget.wait(10)
        assert widget.status in {"done", "cancelled"}
    else:
        wait_for(lambda: widget.message.startswith("square"))
        assert widget.status == "running" and not widget._frame.cancel.disabled


def test_cancel_keeps_the_last_good_picture_and_result(slow):
    wait_for(lambda: slow.message != "")
    slow.cancel()
    slow.wait(10)
    assert (slow.status, slow.message) == ("cancelled", "cancelled")
    assert slow.result.tolist() == drawn(slow) == [0, 1, 4, 9, 16]
    slow.cancel()
    assert slow.status == "cancelled"


def test_partial_pictures_of_a_cancelled_run_give_way_to_the_last_good_one(make):
    widget = make(count=3)
    widget.wait(10)
    widget.delay, widget.count = 0.2, 30
    widget.run()
    wait_for(lambda: any(not final for _, final in widget.draws))
    widget.cancel()
    widget.wait(10)
    assert drawn(widget) == [0, 1, 4]


def test_a_cancelled_run_never_publishes_late(make, monkeypatch):
    go = threading.Event()
    widget = make(count=3)
    widget.wait(10)

    def stubborn(self, settings, *, progress, cancel, publish):
        go.wait(10)
        return np.zeros(settings["count"])

    monkeypatch.setattr(Squares, "_compute", stubborn)
    widget.run()
    wait_for(lambda: widget._worker.is_busy("run"))
    widget.cancel()
    go.set()
    widget.wait(10)
    assert widget.status == "cancelled"
    assert drawn(widget) == [0, 1, 4]


def test_wait_says_when_the_time_is_up(slow):
    with pytest.raises(TimeoutError, match=r"did not finish in 0\.01 s"):
        slow.wait(0.01)
    assert slow.status == "running"


def test_an_interrupt_of_wait_cancels(slow):
    # a shell starts background jobs with the signal ignored, and Python then leaves it so
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            slow.wait(30)
    finally:
        signal.signal(signal.SIGINT, handler)
    wait_for(lambda: slow.status == "cancelled")


def test_wait_in_a_callback_of_the_widget_is_refused(squares):
    errors = []

    def callback(change):
        try:
            squares.wait(1)
        except RuntimeError as error:
            errors.append(str(error))

    squares.observe(callback, "result")
    squares.run()
    squares.wait(10)
    assert errors == ["wait() was called by a callback of the same widget"]


# ---- errors


def test_an_exception_is_raised_by_wait_and_shown_escaped(squares):
    squares.name = HOSTILE
    squares.bad = "raise"
    with pytest.raises(ZeroDivisionError, match="no square of 3 today"):
        squares.wait(10)
    assert squares.status == "error"
    assert squares.message == "failed: ZeroDivisionError, see below"
    panel = squares._frame.error
    assert panel.layout.display is None
    assert panel.value.startswith("<details><summary>ZeroDivisionError: no square of 3 today: &quot;&gt;&lt;img")
    assert "Traceback" in panel.value
    assert "<img" not in panel.value
    assert len(squares.result) == len(drawn(squares)) == 8
    squares.bad = "no"
    squares.wait(10)
    assert (squares.status, panel.value, panel.layout.display) == ("done", "", "none")


def test_an_exception_while_drawing_is_shown_and_raised_too(squares):
    squares.bad = "draw"
    with pytest.raises(RuntimeError, match="cannot draw this"):
        squares.wait(10)
    assert squares.status == "error"


def test_an_exception_in_a_users_observer_does_not_hang_the_widget(squares):
    def broken(change):
        raise LookupError("observer")

    squares.observe(broken, "result")
    squares.count = 4
    with pytest.raises(LookupError):
        squares.wait(10)
    squares.unobserve(broken, "result")
    squares.count = 5
    squares.wait(10)
    assert len(squares.result) == 5


def test_an_exception_in_a_background_job_is_shown(squares):
    squares._submit(lambda progress, cancel: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        squares.wait(10)
    assert "ZeroDivisionError" in squares._frame.error.value


def test_a_new_run_cancels_background_jobs(squares):
    started = threading.Event()

    def job(progress, cancel):
        started.set()
        while True:
            cancel.checkpoint()
            time.sleep(0.002)

    future = squares._submit(job)
    started.wait(10)
    squares.run()
    squares.wait(10)
    assert future.exception() is not None
    assert squares.status == "done"


# ---- settings and controls


def test_keyword_trait_and_control_stay_in_step_from_any_thread(make):
    widget = make(count=9, colour="orange", joined=False, name="n")
    controls = {name: control.widget for name, control in widget._controls.items()}
    assert {name: control.value for name, control in controls.items()} == {
        "count": 9, "power": 2.0, "delay": 0.0, "colour": "orange", "joined": False, "name": "n"
    }  # fmt: skip
    controls["count"].value = 11
    assert (widget.count, widget.settings["count"]) == (11, 11)
    thread = threading.Thread(target=setattr, args=(widget, "count", 13))
    thread.start()
    thread.join()
    assert controls["count"].value == 13
    widget.wait(10)
    assert len(widget.result) == 13


def test_the_control_fits_the_trait(squares):
    controls = {name: control.widget for name, control in squares._controls.items()}
    assert [type(control).__name__ for control in controls.values()] == [
        "IntSlider", "FloatSlider", "FloatSlider", "Dropdown", "Checkbox", "Text"
    ]  # fmt: skip
    assert list(controls) == ["count", "power", "delay", "colour", "joined", "name"]
    assert (controls["count"].min, controls["count"].max) == (1, 60)
    assert controls["power"].step == 0.5
    assert controls["colour"].options == (("Blue", "blue"), ("orange", "orange"))
    assert controls["delay"].description == "Delay"


def test_every_control_has_a_tooltip(squares):
    def walk(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from walk(child)

    interactive = (
        ipywidgets.Button,
        ipywidgets.IntSlider,
        ipywidgets.FloatSlider,
        ipywidgets.Dropdown,
        ipywidgets.Text,
    )
    found = [widget for widget in walk(squares) if isinstance(widget, (*interactive, ipywidgets.Checkbox))]
    assert len(found) == 13
    assert all(widget.tooltip for widget in found)
    assert squares._controls["delay"].widget.tooltip == "Seconds for each square (takes effect with Run)"


def test_a_bad_setting_from_python_raises_and_changes_nothing(squares):
    squares.power = 3.5
    squares.wait(10)
    before = squares.settings
    with pytest.raises(NetgeomError, match="Too many squares") as caught:
        squares.count = 55
    assert caught.value.setting == "count"
    assert squares.settings == before
    words = r"^colour has a bad value\. Expected: any of .*'blue'.*\. Got: 'green'\.$"
    with pytest.raises(NetgeomError, match=words) as caught:
        squares.colour = "green"
    assert isinstance(caught.value, traitlets.TraitError)  # as traitlets expects of a refused value
    squares.wait(10)
    assert squares.status == "done"


def test_a_bad_setting_in_a_control_is_explained_beside_it(squares):
    squares.count = 55
    squares.wait(10)
    picture = drawn(squares)
    control = squares._controls["power"].widget
    control.value = 4.0
    assert control.value == 4.0
    assert squares.power == 2.0
    assert "Too many squares" in squares._controls["count"].message  # the error names the culprit
    squares.wait(10)
    assert drawn(squares) == picture
    squares._controls["count"].widget.value = 40
    assert (squares._controls["count"].message, squares._controls["power"].message) == ("", "")


def test_bad_settings_are_refused_by_the_constructor_and_leave_nothing():
    before = len(_instances), threading.active_count()
    with pytest.raises(
        NetgeomError, match=r"count has a bad value\. Expected: a whole number from 1 to 60\. Got: 'many'"
    ):
        Squares(count="many")
    with pytest.raises(NetgeomError, match="Too many squares"):
        Squares(count=55, power=4.0)
    with pytest.raises(NetgeomError, match=r"There is no such keyword\..*Got: cuont\."):
        Squares(cuont=5)
    gc.collect()
    assert (len(_instances), threading.active_count()) == before


@pytest.mark.parametrize(
    ("trait", "words"),
    [
        (traitlets.Float(min=0.0, max=0.05), "a number from 0 to 0.05"),
        (traitlets.Int(min=1), "a whole number from 1 up"),
        (traitlets.Float(None, min=0.0, allow_none=True), "a number from 0 up, or nothing"),
        (traitlets.Float(max=2e6), "a number to 2,000,000"),
        (traitlets.Float(), "a number"),
    ],
)
def test_a_control_says_in_words_what_it_takes(trait, words):
    told = []

    def refuse(name, value):
        raise traitlets.TraitError("The value of the 'power' trait of a Squares instance ...")

    control = Control("power", ipywidgets.FloatText(), refuse, expected_of(trait))
    told.append(control.message)
    control.widget.value = 7.5
    assert (told, control.message) == ([""], f"Expected: {words}. Got: 7.5.")


def test_what_a_run_says_stands_above_the_figure(squares):
    places = list(squares.children)
    frame = squares._frame
    above = places[: next(i for i, child in enumerate(places) if squares.pane in getattr(child, "children", ()))]
    assert frame.buttons in above and frame.error in above
    assert frame.status in frame.buttons.children[-1].children


def test_settings_can_be_changed_together(squares):
    squares.count = 55
    with pytest.raises(NetgeomError, match="Too many"):
        squares.settings = {"power": 4.0}
    assert squares.power == 2.0
    squares.settings = {"power": 4.0, "count": 3}
    squares.wait(10)
    assert squares.result.tolist() == [0, 1, 16]
    assert squares.settings["colour"] == "blue"
    with pytest.raises(NetgeomError, match=r"There is no such setting\. .*Got: size"):
        squares.settings = {"size": 1}


def test_results_and_status_cannot_be_set_from_outside(squares):
    for name in ("status", "progress", "message", "result"):
        with pytest.raises(traitlets.TraitError):
            setattr(squares, name, getattr(squares, name))


def test_a_trait_without_a_control_is_an_error_of_the_subclass():
    class Odd(Squares):
        odd = traitlets.Dict().tag(setting="run")

    with pytest.raises(TypeError, match="no control is known for Dict"):
        Odd()

    class Odder(Squares):
        odd = traitlets.Int(1).tag(setting="now")

    with pytest.raises(TypeError, match="unknown kind of setting 'now'"):
        Odder()


def test_options_and_bounds_can_follow_the_data(squares):
    control = squares._controls["count"]
    control.set_bounds(1, 5)
    assert (control.widget.max, control.widget.value, squares.count) == (5, 5, 8)
    control = squares._controls["colour"]
    control.set_options(["orange", "blue"], "blue")
    assert (control.widget.options, squares.colour) == (("orange", "blue"), "blue")


# ---- selection


@pytest.mark.parametrize("ids", [[3, 5], (3, 5), np.array([3, 5]), iter([3, np.int64(5)])])
def test_selection_takes_any_iterable_of_ids(squares, ids):
    squares.selection = ids
    assert squares.selection == (3, 5)
    assert repr(squares) == "<Squares done squares=8 selection=2>"


@pytest.mark.parametrize("ids", [5, [1.5], [True], ["a"], None])
def test_selection_refuses_what_is_no_id(squares, ids):
    with pytest.raises(traitlets.TraitError, match="an iterable of sample ids"):
        squares.selection = ids
    assert squares.selection == ()


@pytest.mark.parametrize(
    ("ids", "message"), [([60], "ids from 0 to 59"), ([-1], "ids from 0 to 59"), ([2, 2], "distinct")]
)
def test_selection_refuses_samples_that_do_not_exist(squares, ids, message):
    with pytest.raises(NetgeomError, match=message):
        squares.selection = ids
    assert squares.selection == ()


def test_ids_need_not_count_from_0(squares, monkeypatch):
    monkeypatch.setattr(Squares, "_sample_ids", lambda self: frozenset(range(7, 70, 3)))
    squares.selection = [67, 7]
    assert squares.selection == (67, 7)
    with pytest.raises(NetgeomError, match=r"ids among 7, 10, 13, 16, \.\.\., 58, 61, 64, 67\. Got: 8, 9\."):
        squares.selection = [7, 8, 9]


def test_marks_are_drawn_in_the_background(squares):
    squares.dot = 3
    squares.wait(10)
    assert squares.mark.data_source.data["x"] == [3]


# ---- outputs


def test_export_of_pictures_page_and_numbers(squares, tmp_path):
    squares.name = HOSTILE
    squares.wait(10)
    squares.export_png(tmp_path / "a.png")
    squares.export_svg(tmp_path / "a.svg")
    squares.export_html(tmp_path / "a.html")
    squares.export_data(tmp_path / "a.npz")
    squares.export_data(tmp_path / "a.csv")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "a.svg").read_text()
    assert HOSTILE not in (tmp_path / "a.svg").read_text()
    page = (tmp_path / "a.html").read_text()
    assert "<img" not in page
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        assert data["square"].tolist() == squares.result.tolist()
        assert json.loads(str(data["about"])) == squares.state()
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "number,square"
    assert lines[3] == "2,4.0"


def test_export_refuses_what_does_not_fit(squares, tmp_path, monkeypatch):
    with pytest.raises(NetgeomError, match=r"Expected: \.png\. Got: \.jpg"):
        squares.export_png(tmp_path / "a.jpg")
    with pytest.raises(NetgeomError, match=r"Expected: \.npz or \.csv"):
        squares.export_data(tmp_path / "a.pkl")
    monkeypatch.setattr(Squares, "_export_arrays", lambda self: {"a": np.zeros(2), "b": np.zeros(3)})
    with pytest.raises(NetgeomError, match=r"do not fit one table\. Got: a \(2,\), b \(3,\)"):
        squares.export_data(tmp_path / "a.csv")
    monkeypatch.setattr(Squares, "_export_arrays", lambda self: {"a": np.array([None])})
    with pytest.raises(NetgeomError, match="Python objects"):
        squares.export_data(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_export_before_a_run_says_what_to_do(make, tmp_path):
    with pytest.raises(NetgeomError, match=r"nothing to export yet\. Try: run\(\) and wait\(\) first"):
        make(autorun=False).export_png(tmp_path / "a.png")


def test_export_buttons_write_next_to_the_notebook_and_say_where(squares, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    children = squares._frame.buttons.children
    buttons = {child.description: child for child in children if isinstance(child, ipywidgets.Button)}
    for _ in range(2):
        buttons["Data"].click()
        squares.wait(10)
    assert squares.message == f"written: {tmp_path / 'Squares-2.npz'}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Squares-2.npz", "Squares.npz"]


def test_the_state_makes_the_same_widget_again(squares, make):
    squares.settings = {"count": 5, "colour": "orange"}
    squares.selection, squares.dot = [4, 2], 2
    squares.wait(10)
    state = json.loads(json.dumps(squares.state()))
    twin = Squares.from_state(state, samples=60)
    twin.wait(10)
    assert twin.state() == squares.state()
    assert drawn(twin) == drawn(squares)
    assert twin.mark.data_source.data["x"] == [2]
    twin.close()
    with pytest.raises(NetgeomError, match="belongs to another widget"):
        Squares.from_state({**state, "widget": "Cubes"})


class Display:
    """Stands for IPython's display in a notebook."""

    def __init__(self, monkeypatch):
        self.calls = []
        monkeypatch.setattr("netgeom_widgets.widgets.static_output._publisher", lambda: self)

    def __call__(self, data, *, raw, display_id, update=False, **more):
        self.calls.append((data, display_id, update))


def test_display_makes_two_outputs_and_the_picture_follows_the_runs(squares, monkeypatch):
    display = Display(monkeypatch)
    pictures = iter([b"one", b"two", b"three"])
    monkeypatch.setattr(static, "render", lambda root, format, **_: next(pictures))
    squares._ipython_display_()
    squares.wait(10)
    (widget, first, _), (empty, second, _), (picture, third, update) = display.calls
    assert "application/vnd.jupyter.widget-view+json" in widget
    assert set(empty) == set(picture) == {"image/png", "text/plain"}
    assert (second, update, picture["image/png"]) == (third, True, "b25l")
    assert first != second
    squares.count = 5
    squares.wait(10)
    assert display.calls[-1][0]["image/png"] == "dHdv"
    squares.colour = "orange"
    squares.wait(10)
    assert display.calls[-1][0]["image/png"] == "dGhyZWU="
    squares.close()
    data, display_id, update = display.calls[-1]
    assert (data, display_id, update) == ({"text/plain": "Squares was closed: run the cell again."}, first, True)


def test_no_picture_is_made_where_nothing_was_displayed(make, monkeypatch):
    monkeypatch.setattr(static, "render", lambda *_, **__: pytest.fail("rendered"))
    make().wait(10)


def test_a_crash_of_the_picture_breaks_nothing(squares, monkeypatch):
    Display(monkeypatch)

    def crash(*_, **__):
        raise MemoryError("no picture")

    monkeypatch.setattr(static, "render", crash)
    squares._ipython_display_()
    for count in (3, 4):
        squares.count = count
        squares.wait(10)
    assert (squares.status, len(squares.result)) == ("done", 4)
    assert squares.message.endswith("stored picture is old: no picture")
    assert squares.message.count("no picture") == 1


def test_hostile_text_stays_text_in_every_message(squares):
    squares.name = HOSTILE
    for name in ("name", "colour"):
        squares._controls[name].say(HOSTILE)
    squares._say(HOSTILE)
    labels = (ipywidgets.Label, ipywidgets.Text)
    for widget in list(_instances.values()):
        for key, value in widget.get_state().items():
            if isinstance(value, str) and "<img" in value:
                assert isinstance(widget, labels), (widget, key)  # both show text, never markup


# ---- closing


def test_close_is_idempotent_and_the_widget_says_so(squares):
    squares.close()
    squares.close()
    assert repr(squares) == "<Squares closed squares=8>"
    assert len(squares.result) == 8
    for call in (squares.run, lambda: squares.export_png("a.png")):
        with pytest.raises(NetgeomError, match=r"The widget is closed\. Try: run the cell that made it again"):
            call()
    squares.wait(1)
    squares.cancel()
    squares.count = 3
    squares.colour = "orange"
    squares.dot = 1


def test_close_in_the_middle_of_a_run_ends_it(slow):
    slow.close()
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("netgeom-run")])


def test_nothing_is_left_of_50_widgets():
    Squares(count=3).close()  # what the first one loads for good does not count
    gc.collect()
    instances, threads = len(_instances), threading.active_count()
    refs = []
    for _ in range(50):
        widget = Squares(count=3)
        widget.wait(10)
        widget.colour = "orange"
        widget.wait(10)
        refs += [weakref.ref(widget), weakref.ref(widget.pane), weakref.ref(widget.pane.document)]
        widget.close()
        del widget
    gc.collect()
    assert (len(_instances), threading.active_count()) == (instances, threads)
    assert [ref() for ref in refs if ref() is not None] == []


def test_the_base_leaves_the_analysis_to_subclasses():
    with pytest.raises(NotImplementedError):
        AnalysisWidget()


def test_drawing_again_never_overwrites_a_newer_picture(make):
    widget = make(count=3)
    for count in range(4, 30):
        widget.settings = {"count": count, "colour": "orange" if count % 2 else "blue"}
        widget.run()
        widget.wait(10)
        assert len(drawn(widget)) == count
