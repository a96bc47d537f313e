"""A Bokeh figure as one HTML file that opens by itself: BokehJS inside, no network, no kernel."""

from __future__ import annotations

from typing import Any

import bokeh
from bokeh.core.serialization import Serializer
from bokeh.embed.bundle import bundle_for_objs_and_resources
from bokeh.embed.elements import html_page_for_render_items
from bokeh.embed.util import RenderItem
from bokeh.models import LayoutDOM
from bokeh.resources import Resources

from netgeom_widgets.errors import NetgeomError

_ELEMENT: Any = "netgeom-figure"
_DOCUMENT: Any = "netgeom-document"


def to_html(root: LayoutDOM, title: str = "netgeom_widgets") -> str:
    """Standalone HTML page of a Bokeh root.

    Parameters
    ----------
    root : bokeh.models.LayoutDOM
        A figure or layout. It is only read: it stays in its document, whose other roots do not come along, and live
        views of it are not disturbed.
    title : str
        Title of the page, any text.

    Returns
    -------
    str
        The page. About 1.3 MB of it is BokehJS; parts for controls, tables or mathematics come where the root
        needs them.

    Raises
    ------
    NetgeomError
        For anything but a Bokeh layout.
    """
    if not isinstance(root, LayoutDOM):
        raise NetgeomError(
            "Only a Bokeh layout becomes a page.", expected="a figure or layout", got=type(root).__name__
        )
    # Not Document.to_json or file_html: both touch the live document (pending patches, ids) and embed all its roots.
    encoded = Serializer(deferred=False).encode([root])
    page: Any = {_DOCUMENT: {"version": bokeh.__version__, "title": str(title), "roots": encoded}}
    item = RenderItem(docid=_DOCUMENT, roots={root: _ELEMENT})
    bundle = bundle_for_objs_and_resources([root], Resources(mode="inline", minified=True))
    return html_page_for_render_items(bundle, page, [item], title=str(title))
