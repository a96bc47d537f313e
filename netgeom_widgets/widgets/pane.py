"""BokehPane: the one leaf that shows a Bokeh document, in every front end that takes anywidget."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import bokeh
import traitlets
from bokeh.core.json_encoder import serialize_json
from bokeh.core.serialization import Buffer, Serialized, Serializer
from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent, ModelChangedEvent
from bokeh.models import LayoutDOM, Plot
from bokeh.resources import Resources

from netgeom_widgets.widgets.comms import hear_beside_cells

HERE = Path(__file__).parent
MAX_HEIGHT = 600  # pixels; a taller figure does not fit a laptop's notebook together with its controls
_SIZES = {"inner_width", "inner_height", "outer_width", "outer_height"}  # every view has its own


@cache
def _bundle(name: str) -> bytes:
    """A file of BokehJS from the installed bokeh package, gzipped (1.3 MB become 0.4 MB; hubs are far away)."""
    path = next(path for path in Resources(mode="absolute", components=[name]).js_files)
    return gzip.compress(Path(path).read_bytes(), compresslevel=6)


def _bundles_for(document: Document) -> list[str]:
    """Which files of BokehJS the models of a document need."""
    names = ["bokeh"]
    modules = {type(model).__module__ for model in document.models}
    if any(isinstance(m, Plot) and m.output_backend == "webgl" for m in document.models):
        names.append("bokeh-gl")
    if any(module.startswith("bokeh.models.widgets") for module in modules):
        names.append("bokeh-widgets")
    if "bokeh.models.widgets.tables" in modules:
        names.append("bokeh-tables")
    return names


class _View:
    """Setter of the changes that came from one view in a browser; all other views must hear of them."""

    def __init__(self, view_id: str) -> None:
        self.id = view_id


class BokehPane(anywidget.AnyWidget):
    """Shows a Bokeh document and keeps it in step with every view of it in a browser, in both directions.

    BokehJS comes from the installed bokeh package through the kernel's connection, once per page; the document is sent
    when a view asks for it. So nothing needs a network, and nothing of either is stored in the notebook.

    Parameters
    ----------
    root : bokeh.models.LayoutDOM
        What to show; added to a new document unless it has one. It stretches to the width of the cell, and plots get no
        taller than 600 pixels, unless the model says how it wants to be sized.
    lock : threading.RLock, optional
        Held while changes from a browser are applied. Whoever changes the models must hold it too.
    on_error : callable, optional
        Called with an exception that a Python callback of the document raised.
    """

    _esm = (HERE / "host.js").read_text(
        encoding="utf-8"
    )  # text, not a Path: a Path pins every instance (anywidget#929)
    _css = (HERE / "host.css").read_text(encoding="utf-8")
    bokeh_version = traitlets.Unicode(bokeh.__version__, read_only=True).tag(sync=True)
    label = traitlets.Unicode("figure", help="What the picture shows, for screen readers.").tag(sync=True)

    def __init__(
        self,
        root: LayoutDOM,
        *,
        lock: Any = None,
        on_error: Callable[[BaseException], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.lock = lock if lock is not None else threading.RLock()
        self._on_error = on_error
        self._views: dict[str, _View] = {}
        self._gone: set[str] = set()
        self._batch: list[DocumentPatchedEvent] | None = None
        self._unseen_since: float | None = None
        self.root = root
        _fit(root)
        self._doc = root.document if root.document is not None else Document()
        if root not in self._doc.roots:
            self._doc.add_root(root)
        super().__init__(**kwargs)
        hear_beside_cells(self)
        self._doc.on_change_dispatch_to(self)
        self.on_msg(self._receive)

    @property
    def document(self) -> Document:
        """The Bokeh document."""
        return self._doc

    @property
    def busy(self) -> bool:
        """Whether a browser has not yet drawn what it was sent less than a second ago."""
        return self._unseen_since is not None and time.monotonic() - self._unseen_since < 1.0

    # ---- Python to browser

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Hold the lock, and send all changes made inside the block as one message."""
        with self.lock:
            if self._batch is not None:  # already inside a batch of this thread: the lock is reentrant
                yield
                return
            self._batch = []
            try:
                with self._doc.models.freeze():
                    yield
            finally:
                events, self._batch = _latest(self._batch), None
                if events:
                    self._send_patch(events, skip="")

    def reset_view(self) -> None:
        """Put the ranges of all plots back, in every view."""
        self.send({"t": "reset"})

    def _document_patched(self, event: DocumentPatchedEvent) -> None:
        """Bokeh calls this for every change of the document, on the thread that made it."""
        origin = event.setter
        if isinstance(origin, _View):
            if isinstance(event, ModelChangedEvent) and event.attr in _SIZES:
                return
            others = [view for view in self._views if view != origin.id]
            if others:
                self._send_patch([event], skip=origin.id)
        elif self._batch is not None:
            self._batch.append(event)
        else:
            self._send_patch([event], skip="")

    def _send_patch(self, events: list[DocumentPatchedEvent], skip: str) -> None:
        if not self._views or self.comm is None:
            return  # a view that comes later asks for the whole document
        with self.lock:
            serializer = Serializer(references=self._doc.models.synced_references)
            encoded = serializer.encode(events)
            self._doc.models.flush_synced(lambda model: not serializer.has_ref(model))
            if self._unseen_since is None:
                self._unseen_since = time.monotonic()
            self._send_json(
                "patch", {"events": encoded}, serializer.buffers, skip=skip, bundles=_bundles_for(self._doc)
            )

    def _send_json(self, kind: str, content: Any, buffers: list[Buffer], **more: Any) -> None:
        message = {"t": kind, "json": serialize_json(content), "ids": [buffer.id for buffer in buffers], **more}
        self.send(message, buffers=[buffer.to_bytes() for buffer in buffers])

    # ---- browser to Python

    def _receive(self, _: Any, message: Any, buffers: list[Any]) -> None:
        """Handle a message of a view; may be called on any thread (JupyterLab with ipykernel 7 uses two)."""
        kind, view_id = message.get("t"), str(message.get("view", ""))
        if self.comm is None:
            return
        if kind == "bundle":
            name = message["name"]
            if name in {"bokeh", "bokeh-gl", "bokeh-widgets", "bokeh-tables"}:
                self.send({"t": "bundle", "name": name}, buffers=[_bundle(name)])
        elif kind == "snapshot":
            self._send_snapshot(view_id)
        elif kind == "events":
            try:
                self._apply(view_id, message, buffers)
            finally:
                self.send({"t": "ack", "view": view_id})
        elif kind == "drawn":
            self._unseen_since = None
        elif kind == "gone":
            # two threads deliver messages, so this one may overtake the view's own requests for a snapshot
            with self.lock:
                self._gone.add(view_id)
                self._views.pop(view_id, None)
            self._unseen_since = None

    def _send_snapshot(self, view_id: str) -> None:
        with self.lock:
            if view_id in self._gone or view_id in self._views:  # it asks again while nothing comes
                return
            snapshot = self._doc.to_json(deferred=True)
            self._views[view_id] = _View(view_id)
            bundles = _bundles_for(self._doc)
            self._send_json("snapshot", snapshot.content, snapshot.buffers or [], view=view_id, bundles=bundles)

    def _apply(self, view_id: str, message: Any, buffers: list[Any]) -> None:
        named = [Buffer(name, bytes(data)) for name, data in zip(message.get("ids", []), buffers, strict=True)]
        patch = Serialized(content={"events": message["events"]}, buffers=named)
        setter = self._views.get(view_id) or _View(view_id)
        try:
            with self.lock:
                self._hear_late_callbacks()
                self._doc.apply_json_patch(patch, setter=setter)  # type: ignore[arg-type]  # any object may be a setter
        except Exception as error:
            if self._on_error is None:
                raise
            self._on_error(error)

    def _hear_late_callbacks(self) -> None:
        """Bokeh 3.9 forgets callbacks that were given to ``on_event`` after the model had joined its document."""
        for model in self._doc.models:
            for name in model.subscribed_events:
                self._doc.callbacks.subscribe(name, model)

    def close(self) -> None:
        """Close the connection and let go of the document; may be called twice."""
        document = self.__dict__.get("_doc")  # missing when __init__ failed and __del__ calls this
        if document is not None and self.comm is not None:
            self.on_msg(self._receive, remove=True)
            with contextlib.suppress(KeyError):
                document.remove_on_change(self)
            self._views.clear()
            with self.lock:
                document.clear()
            self.layout.close()
        super().close()

    def __repr__(self) -> str:
        return f"<BokehPane of {type(self.root).__name__}{'' if self.comm is not None else ', closed'}>"


def _fit(root: LayoutDOM) -> None:
    """Let figures stretch to the cell and end at the greatest height, unless the models say otherwise."""
    if root.sizing_mode is None and (root.width is None or isinstance(root, Plot)):
        root.sizing_mode = "stretch_width"
    for plot in root.select({"type": Plot}):
        if plot.sizing_mode is None and plot.width_policy == "auto":
            plot.sizing_mode = "stretch_width"
        if plot.max_height is None or plot.max_height > MAX_HEIGHT:
            plot.max_height = MAX_HEIGHT
        if plot.height is not None and plot.height > MAX_HEIGHT:
            plot.height = MAX_HEIGHT


def _latest(events: list[DocumentPatchedEvent]) -> list[DocumentPatchedEvent]:
    """Drop a change of a property that a later change of the same property makes void."""
    kept: dict[Any, DocumentPatchedEvent] = {}
    for event in events:
        if isinstance(event, ModelChangedEvent):
            key: Any = (event.model.id, event.attr)
            kept.pop(key, None)  # the later place counts: a model it refers to may come in between
        else:
            key = id(event)
        kept[key] = event
    return list(kept.values())
