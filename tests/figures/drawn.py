"""What a drawn figure says and does, as the tests of figures ask for it."""

from __future__ import annotations

import json

import matplotlib as mpl
from bokeh.core.validation import check_integrity
from bokeh.document import Document
from bokeh.events import Tap
from bokeh.models import LayoutDOM, Plot

from netgeom_widgets.figures.html import to_html
from netgeom_widgets.figures.static import render, to_figure

#: A user's words that HTML, formulas or templates of hover boxes would read something into.
HOSTILE = '"><img src=x onerror=alert(1)></script>$$x$$ @id $x'


def caption(plot: Plot) -> str:
    """The words below a plot, in one line."""
    return plot.below[-1].text.replace("\n", " ")


def texts(root: LayoutDOM) -> set[str]:
    """All words that the static renderer draws."""
    return {text.get_text() for text in to_figure(root).findobj(mpl.text.Text) if text.get_text()}


def tap(plot: Plot, x: float | None, y: float | None) -> None:
    """A tap of the user at a point of a plot."""
    plot._trigger_event(Tap(plot, sx=0, sy=0, x=x, y=y))


def validated(root: LayoutDOM) -> str:
    """The root as JSON, without a complaint of Bokeh's."""
    document = Document()
    document.add_root(root)
    assert not any(check_integrity(document.models).__dict__.values())
    text = json.dumps(document.to_json(deferred=False))
    document.clear()  # a root may be looked at again
    return text


def whole(root: LayoutDOM) -> str:
    """The root as a page, drawn by both ways without a complaint; no words of the user's became a tag."""
    assert validated(root)
    assert render(root, "png", width=500, dpi=48)[:4] == b"\x89PNG"
    page = to_html(root)
    assert "<img src=x" not in page
    return page
