"""Tests of netgeom_widgets/widgets/pane.py: what a browser would send, and what it would receive."""

from __future__ import annotations

import gc
import gzip
import json
import threading
import weakref

import bokeh
import comm
import ipywidgets
import numpy as np
import pytest
from bokeh.events import Tap
from bokeh.layouts import column
from bokeh.models import DataTable, Range1d, TableColumn
from bokeh.plotting import figure
from ipywidgets.widgets.widget import _instances

from netgeom_widgets.widgets import BokehPane
from netgeom_widgets.widgets.comms import hear_beside_cells


class Comm(comm.DummyComm):
    """A comm of ipykernel 7.4, as far as the routing of messages is concerned."""

    hooks = 0

    def handle_msg(self, message):
        self.hooks += 1
        super().handle_msg(message)

    def _reply_subshell_for(self, data, default):
        return "where it was written last"


class Browser:
    """Stands for the pages in which a pane is shown."""

    def __init__(self, pane: BokehPane) -> None:
        self.pane, self.sent = pane, []
        pane.send = lambda content, buffers=None: self.sent.append((content, buffers or []))

    def say(self, buffers=(), **message):
        self.pane._receive(self.pane, message, list(buffers))

    def of(self, kind):
        return [content for content, _ in self.sent if content["t"] == kind]

    def change(self, view, model, attr, value):
        event = {"kind": "ModelChanged", "model": {"id": model.id}, "attr": attr, "new": value}
        self.say(t="events", view=view, events=[event], ids=[])


@pytest.fixture
def plot():
    plot = figure(x_range=Range1d(0, 1), y_range=Range1d(0, 1))
    plot.scatter([0.1, 0.5], [0.2, 0.6])
    return plot


@pytest.fixture
def pane(plot):
    pane = BokehPane(plot)
    yield pane
    pane.close()


@pytest.fixture
def browser(pane):
    return Browser(pane)


def test_nothing_heavy_is_stored_in_the_notebook(pane):
    state = pane.get_state()
    assert state["bokeh_version"] == bokeh.__version__
    assert len(json.dumps({name: value for name, value in state.items() if name != "layout"})) < 40_000


def test_a_view_gets_bokehjs_and_the_document_when_it_asks(pane, browser, plot):
    browser.say(t="bundle", name="bokeh")
    ((message, buffers),) = browser.sent
    assert message == {"t": "bundle", "name": "bokeh"}
    assert len(buffers[0]) < 500_000
    assert b"Bokeh" in gzip.decompress(buffers[0])
    browser.say(t="bundle", name="../../etc/passwd")
    assert len(browser.sent) == 1
    browser.say(t="snapshot", view="a")
    (snapshot,) = browser.of("snapshot")
    assert snapshot["view"] == "a"
    assert snapshot["bundles"] == ["bokeh"]
    assert json.loads(snapshot["json"])["roots"][0]["id"] == plot.id


def test_bundles_are_brought_only_when_used():
    plain = figure(output_backend="webgl")
    table = DataTable(columns=[TableColumn(field="x")])
    pane = BokehPane(column(plain, table))
    browser = Browser(pane)
    browser.say(t="snapshot", view="a")
    assert browser.of("snapshot")[0]["bundles"] == ["bokeh", "bokeh-gl", "bokeh-widgets", "bokeh-tables"]
    pane.close()


def test_without_a_view_nothing_is_sent(browser, plot):
    plot.title.text = "new"
    assert browser.sent == []


def test_a_change_in_python_is_one_message_with_binary_arrays(browser, plot):
    browser.say(t="snapshot", view="a")
    browser.sent.clear()
    plot.renderers[0].data_source.data = {"x": np.arange(1000.0), "y": np.arange(1000.0)}
    ((message, buffers),) = browser.sent
    assert message["t"] == "patch"
    assert message["skip"] == ""
    assert [len(buffer) for buffer in buffers] == [8000, 8000]
    assert len(message["ids"]) == 2


def test_a_batch_is_one_message_and_the_last_value_counts(pane, browser, plot):
    browser.say(t="snapshot", view="a")
    browser.sent.clear()
    with pane.batch():
        with pane.batch():
            plot.title.text = "one"
        plot.title.text = "two"
        plot.x_range.start = -1
        assert browser.sent == []
    (message,) = browser.of("patch")
    events = json.loads(message["json"])["events"]
    assert [(event["attr"], event["new"]) for event in events] == [("text", "two"), ("start", -1)]


def test_a_new_model_in_a_patch_is_sent_whole_once(pane, browser, plot):
    browser.say(t="snapshot", view="a")
    browser.sent.clear()
    line = plot.line([0, 1], [0, 1])
    assert any("GlyphRenderer" in message["json"] for message in browser.of("patch"))
    browser.sent.clear()
    line.visible = False
    (message,) = browser.of("patch")
    assert json.loads(message["json"])["events"][0]["model"] == {"id": line.id}


def test_a_change_in_the_browser_reaches_python_and_is_acknowledged(browser, plot):
    browser.say(t="snapshot", view="a")
    browser.sent.clear()
    browser.change("a", plot.x_range, "start", 0.25)
    assert plot.x_range.start == 0.25
    assert browser.sent == [({"t": "ack", "view": "a"}, [])]


def test_a_change_in_one_view_reaches_the_others(browser, plot):
    browser.say(t="snapshot", view="a")
    browser.say(t="snapshot", view="b")
    browser.sent.clear()
    browser.change("a", plot.renderers[0].data_source.selected, "indices", [1])
    (patch,) = browser.of("patch")
    assert patch["skip"] == "a"
    browser.say(t="gone", view="b")
    browser.sent.clear()
    browser.change("a", plot.renderers[0].data_source.selected, "indices", [0])
    assert browser.of("patch") == []


def test_sizes_of_one_view_are_known_but_not_forced_on_the_others(browser, plot):
    browser.say(t="snapshot", view="a")
    browser.say(t="snapshot", view="b")
    browser.sent.clear()
    browser.change("a", plot, "inner_width", 321)
    assert plot.inner_width == 321
    assert browser.of("patch") == []


def test_what_python_does_in_answer_to_a_view_reaches_that_view_too(browser, plot):
    plot.x_range.on_change("start", lambda attr, old, new: setattr(plot.title, "text", f"from {new}"))
    browser.say(t="snapshot", view="a")
    browser.sent.clear()
    browser.change("a", plot.x_range, "start", 0.5)
    (patch,) = browser.of("patch")
    assert patch["skip"] == ""
    assert "from 0.5" in patch["json"]


def test_binary_data_from_the_browser(browser, plot):
    array = {
        "type": "ndarray",
        "array": {"type": "bytes", "data": {"id": "b0"}},
        "shape": [2],
        "dtype": "float64",
        "order": "little",
    }
    event = {
        "kind": "ModelChanged",
        "model": {"id": plot.renderers[0].data_source.id},
        "attr": "data",
        "new": {"type": "map", "entries": [["x", array], ["y", array]]},
    }
    browser.say([memoryview(np.array([3.0, 4.0]).tobytes())], t="events", view="a", events=[event], ids=["b0"])
    assert plot.renderers[0].data_source.data["x"].tolist() == [3.0, 4.0]


def tap(plot, view="a"):
    data = {"type": "event", "name": "tap", "values": {"type": "map", "entries": [["x", 0.5], ["y", 0.5], ["sx", 1], ["sy", 1], ["model", {"id": plot.id}], ["modifiers", {"type": "map", "entries": []}]]}}  # fmt: skip  # noqa: E501
    event = {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": data}
    return {"t": "events", "view": view, "events": [event], "ids": []}


def test_events_reach_python_callbacks_on_the_thread_they_came_on(browser, plot):
    seen = []
    plot.on_event(Tap, lambda event: seen.append((event.x, threading.current_thread().name)))
    thread = threading.Thread(target=browser.say, kwargs=tap(plot), name="subshell")
    thread.start()
    thread.join()
    assert seen == [(0.5, "subshell")]


def test_an_error_in_a_callback_is_reported_and_still_acknowledged(plot):
    errors = []
    pane = BokehPane(plot, on_error=errors.append)
    browser = Browser(pane)
    plot.on_event(Tap, lambda event: 1 / 0)
    browser.say(**tap(plot))
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert browser.of("ack") == [{"t": "ack", "view": "a"}]
    pane.close()


def test_busy_until_a_view_has_drawn(pane, browser, plot):
    browser.say(t="snapshot", view="a")
    assert not pane.busy
    plot.title.text = "new"
    assert pane.busy
    browser.say(t="drawn", view="a")
    assert not pane.busy


def test_a_view_that_asks_again_is_answered_once(browser):
    browser.say(t="snapshot", view="a")
    browser.say(t="snapshot", view="a")
    browser.say(t="snapshot", view="b")
    assert [snapshot["view"] for snapshot in browser.of("snapshot")] == ["a", "b"]


def test_gone_may_overtake_the_requests_for_a_snapshot(pane, browser):
    browser.say(t="gone", view="a")
    browser.say(t="snapshot", view="a")
    browser.say(t="snapshot", view="a")
    assert browser.sent == []
    assert pane._views == {}


def test_figures_stretch_and_end_at_600_pixels():
    small, tall, fixed = figure(height=200), figure(height=900), figure(sizing_mode="fixed", width=300, height=300)
    pane = BokehPane(column(small, tall, fixed))
    assert pane.root.sizing_mode == "stretch_width"
    assert [plot.sizing_mode for plot in (small, tall, fixed)] == ["stretch_width", "stretch_width", "fixed"]
    assert [plot.height for plot in (small, tall, fixed)] == [200, 600, 300]
    assert all(plot.max_height == 600 for plot in (small, tall, fixed))
    pane.close()


def test_close_is_idempotent_and_lets_everything_go(plot):
    before = len(_instances)
    pane = BokehPane(plot)
    ref, document = weakref.ref(pane), pane.document
    pane.close()
    pane.close()
    assert document.roots == []
    assert plot.document is None
    plot.title.text = "after"
    assert repr(pane) == "<BokehPane of figure, closed>"
    del pane
    gc.collect()
    assert ref() is None
    assert len(_instances) == before


def test_messages_are_heard_where_they_are_addressed_and_without_the_hooks_of_a_cell(monkeypatch):
    monkeypatch.setattr(comm, "create_comm", Comm)
    heard = []
    box = ipywidgets.HBox([ipywidgets.Button()])
    hear_beside_cells(box)
    box.children = (ipywidgets.Button(), *box.children)
    for button in box.children:
        button.on_click(heard.append)
        assert button.comm._reply_subshell_for({}, "a subshell") == "a subshell"
        message = {"content": {"data": {"method": "custom", "content": {"event": "click"}}}, "buffers": []}
        button.comm.handle_msg(message)
        thread = threading.Thread(target=button.comm.handle_msg, args=(message,))
        thread.start()
        thread.join()
        assert button.comm.hooks == 1  # on the main thread only
        assert heard == [button, button]
        heard.clear()
    assert BokehPane(figure()).comm._reply_subshell_for({}, "a subshell") == "a subshell"
