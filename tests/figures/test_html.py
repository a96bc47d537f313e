"""netgeom_widgets.figures.html: a page that needs nothing else."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest
from bokeh.document import Document
from bokeh.layouts import row
from bokeh.models import ColumnDataSource, FactorRange, Slider
from bokeh.plotting import figure

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.html import to_html

HOSTILE = "</title></script><script>alert('x')</script><img src=http://evil.example/x>"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def tags(page):
    parser = Tags()
    parser.feed(page)
    return parser.found


def plot(**options):
    made = figure(**options)
    made.scatter("x", "x", source=ColumnDataSource({"x": [1.0, 2.0]}))
    return made


def document_of(page):
    text = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[1]
    return json.loads(unescape(text))


def test_no_part_comes_from_the_network():
    for root in (plot(), row(plot(), Slider(start=0, end=1, value=0))):
        found = tags(to_html(root, "t"))
        assert not [tag for tag, attrs in found if {"src", "href"} & attrs.keys() or tag == "link"]
    assert "Bokeh" in to_html(plot(), "t")


def test_hostile_texts_stay_texts():
    page = to_html(plot(title=HOSTILE), HOSTILE)
    before = [tag for tag, _ in tags(to_html(plot(title="x"), "x"))]
    assert [tag for tag, _ in tags(page)] == before
    assert "<img" not in page.replace("&lt;img", "") or page.count("<img") == to_html(plot(), "x").count("<img")
    assert HOSTILE not in page


def test_only_the_root_asked_for_is_embedded_and_its_document_is_untouched():
    document = Document()
    shared = ColumnDataSource({"x": [1.0, 2.0]})
    first, second = figure(title="first"), figure(title="secret of another")
    for one in (second, first):
        one.scatter("x", "x", source=shared)
        document.add_root(one)
    events = []
    document.on_change(events.append)
    page = to_html(first, "t")
    assert "secret of another" not in page and "first" in page
    assert first.document is document and document.roots == [second, first] and not events
    (embedded,) = document_of(page).values()
    assert [root["id"] for root in embedded["roots"]] == [first.id]


def test_page_stands_without_a_document_of_its_own():
    root = plot()
    assert to_html(root, "t") and root.document is None


def test_factor_pairs_and_arrays_survive():
    root = figure(x_range=FactorRange(("a", "x"), ("a", "y")))
    root.vbar([("a", "x"), ("a", "y")], top=[1, 2])
    assert '["a","x"]' in json.dumps(document_of(to_html(root, "t")), separators=(",", ":"))


def test_other_things_are_refused():
    with pytest.raises(NetgeomError, match="Bokeh layout"):
        to_html("no figure", "t")
