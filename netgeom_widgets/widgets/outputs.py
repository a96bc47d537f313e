"""What leaves a widget: its display in a notebook, exported files, its state as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from bokeh.models import Column, LayoutDOM

import netgeom_widgets
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets import exports


class Outputs:
    """Mixin of AnalysisWidget: display, exports and state."""

    # ---- display

    def _ipython_display_(self) -> None:
        """Make two outputs: the widget, and under it the picture that the notebook keeps."""
        bundle = None if self._closed else self._bundle()
        if bundle is None or self._stored is None or not self._stored.display(bundle, repr(self)):
            from IPython.display import display

            display(bundle or {"text/plain": repr(self)}, raw=True)
        else:
            self._keep_picture()

    def _bundle(self) -> dict[str, Any]:
        """Mime bundle of the live widget, the same for ipywidgets 7 (Colab), which has no method for it, and 8."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"text/plain": repr(self), "application/vnd.jupyter.widget-view+json": view}

    def __repr__(self) -> str:
        picked = f" selection={len(self.selection)}" if self.selection else ""
        state = "closed" if self._closed else self.status
        return " ".join(f"<{type(self).__name__} {state} {self._summary()}{picked}".split()) + ">"

    # ---- files

    def export_html(self, path: str | Path) -> None:
        """Write a page that shows the figure by itself, without a kernel or a network.

        The page contains the data of the figure in readable form: mind what you publish.
        """
        self._export(lambda: exports.save_html(self._exported(), path, self._title()))

    def export_png(self, path: str | Path) -> None:
        """Write the figure as a picture with white ground."""
        self._export(lambda: exports.save_picture(self._exported(), path, suffixes=(".png",)))

    def export_svg(self, path: str | Path) -> None:
        """Write the figure as a scalable picture."""
        self._export(lambda: exports.save_picture(self._exported(), path, suffixes=(".svg", ".pdf")))

    def export_data(self, path: str | Path) -> None:
        """Write the numbers of the result: .npz takes all arrays, .csv a table of columns of equal length.

        The npz file also holds the settings, as JSON under the name ``about``; nothing in it is pickled.
        """
        arrays = self._export_table if str(path).lower().endswith(".csv") else self._export_arrays
        self._export(lambda: exports.save_data(arrays(), path, self.state()))

    def _exported_parts(self) -> list[LayoutDOM]:
        """What exported pages and pictures show, from top to bottom."""
        return [self.pane.root]

    def _exported(self) -> LayoutDOM:
        parts = self._exported_parts()
        # Parts keep their documents: the column is only read.
        return parts[0] if len(parts) == 1 else Column(*parts, sizing_mode="stretch_width")

    def _title(self) -> str:
        return self.title or type(self).__name__

    def _export(self, write: Callable[[], None]) -> None:
        """Write once drawing has caught up with the settings.

        Raises
        ------
        NetgeomError
            When no run has finished yet, or the path does not fit.
        """
        self._check_open()
        if not (self._painter.is_current_thread() or self._worker.is_current_thread()):
            self._painter.wait()
        with self._lock:
            if self._shown is None:
                raise NetgeomError("There is nothing to export yet.", try_this="run() and wait() first")
            write()

    def _export_here(self, kind: str) -> None:
        """Answer an export button: write next to the notebook and say where."""
        methods = {"html": self.export_html, "png": self.export_png, "svg": self.export_svg, "npz": self.export_data}
        self._write_here(methods[kind], f".{kind}")

    def _write_here(self, export: Callable[[Path], None], suffix: str) -> None:
        path = exports.free_path(type(self).__name__, suffix)

        def write() -> None:
            try:
                export(path)
            except NetgeomError as error:
                self._say(str(error))
            else:
                self._say(f"written: {path}")

        if not self._closed:
            self._keeper.submit(lambda progress, cancel: write(), key="export").add_done_callback(self._job_ended)

    # ---- state

    def state(self) -> dict[str, Any]:
        """Settings, selection and marks as a dict for JSON; :meth:`from_state` makes the same picture of it."""
        state = {
            "widget": type(self).__name__,
            "version": netgeom_widgets.__version__,
            "settings": self._snapshot(),
            "selection": list(self.selection),
            "marks": {name: getattr(self, name) for name in self._marks},
        }
        return json.loads(json.dumps(state, default=_plain))  # type: ignore[no-any-return]

    @classmethod
    def from_state(cls, state: dict[str, Any], *args: Any, **kwargs: Any) -> Self:
        """Make a widget as :meth:`state` described it; what was analysed (model, data) is given again.

        Parameters
        ----------
        state : dict
            From :meth:`state`, also after a trip through JSON.
        *args, **kwargs
            What the constructor takes.

        Raises
        ------
        NetgeomError
            When the state belongs to another widget.
        """
        if state.get("widget") != cls.__name__:
            raise NetgeomError(
                "The state belongs to another widget.", expected=cls.__name__, got=str(state.get("widget"))
            )
        widget = cls(*args, **{**state["settings"], "selection": state["selection"], **kwargs, "autorun": False})
        widget._restored = {name: value for name, value in state.get("marks", {}).items() if value is not None}
        if kwargs.get("autorun", True):
            widget.run()
        return widget


def _plain(value: Any) -> Any:
    """Arrays, numpy numbers and dataclasses as what JSON knows."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return value.tolist() if hasattr(value, "tolist") else list(value)
