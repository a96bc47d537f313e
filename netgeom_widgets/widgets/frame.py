"""What every analysis widget shows around its figure: buttons, progress, status line, error panel."""

from __future__ import annotations

import html
import traceback
from collections.abc import Callable, Iterable

import ipywidgets

WRAP = {"flex_flow": "row wrap", "align_items": "center", "overflow": "visible"}
EXPORTS = {  # suffix: text of the button, what it writes
    "html": ("HTML", "a page that works by itself"),
    "png": ("PNG", "a picture"),
    "svg": ("SVG", "a scalable picture"),
    "npz": ("Data", "the numbers (npz)"),
}


def _button(text: str, tooltip: str, icon: str, on_click: Callable[[], None]) -> ipywidgets.Button:
    button = ipywidgets.Button(description=text, tooltip=tooltip, icon=icon, layout={"width": "auto"})
    button.on_click(lambda _: on_click())
    return button


class Frame:
    """Buttons and messages; it knows how they look, and calls back for what they mean.

    Parameters
    ----------
    run, cancel, reset : callable
        Called without arguments when the button is pressed, on any thread.
    export : callable
        Called with the suffix of the file, one of ``EXPORTS``.
    """

    def __init__(
        self,
        *,
        run: Callable[[], None],
        cancel: Callable[[], None],
        reset: Callable[[], None],
        export: Callable[[str], None],
    ) -> None:
        self.run = _button("Run", "Start the computation with the settings shown", "play", run)
        self.cancel = _button("Cancel", "Stop the computation; the last finished picture stays", "stop", cancel)
        self.cancel.disabled = True
        self.reset = _button("Reset view", "Show the whole figure again", "home", reset)
        exports = [
            _button(text, f"Write {what} next to the notebook", "download", lambda suffix=suffix: export(suffix))
            for suffix, (text, what) in EXPORTS.items()
        ]
        self.progress = ipywidgets.FloatProgress(
            min=0.0, max=1.0, tooltip="How far the computation has come", layout={"width": "160px", "margin": "2px 8px"}
        )
        self.progress.add_class("netgeom-progress")
        self.progress.layout.display = "none"
        self.status = ipywidgets.Label(
            tooltip="What the widget is doing", layout={"flex": "1 1 200px", "min_width": "0"}
        )
        self.status.add_class("netgeom-status")
        # As high as the bar also without it: a figure must not move each time a run begins.
        told = ipywidgets.Box(
            [self.progress, self.status], layout={**WRAP, "flex": "1 1 300px", "min_width": "0", "min_height": "34px"}
        )
        self.buttons = ipywidgets.Box([self.run, self.cancel, self.reset, *exports, told], layout=WRAP)
        self.error = ipywidgets.HTML(layout={"display": "none"})
        self.error.add_class("netgeom-error")

    def show_status(self, status: str) -> None:
        """Make buttons and bar fit what is going on."""
        running = status == "running"
        self.cancel.disabled = not running
        self.progress.layout.display = None if running else "none"

    def want_run(self, wanted: bool) -> None:
        """Say with the colour and the tooltip of the Run button that changed settings wait for it."""
        self.run.button_style = "primary" if wanted else ""
        self.run.tooltip = (
            "Start the computation: changed settings wait for it"
            if wanted
            else "Start the computation with the settings shown"
        )

    def show_error(self, error: BaseException | None) -> None:
        """Show an exception with its traceback folded away, as text; None empties the panel."""
        if error is None:
            self.error.value = ""
            self.error.layout.display = "none"
            return
        self.error.value = error_html(error)
        self.error.layout.display = None


def error_html(error: BaseException) -> str:
    """An exception as text, its traceback folded away."""
    # escaped, because messages contain what users typed: names, paths, options
    title = html.escape(f"{type(error).__name__}: {error}")
    trace = html.escape("".join(traceback.format_exception(error)))
    return f"<details><summary>{title}</summary><pre>{trace}</pre></details>"


def remarks_html(remarks: Iterable[str]) -> str:
    """Remarks as text, each in a line of its own."""
    return "".join(f"<div class='netgeom-status'>{html.escape(remark)}</div>" for remark in remarks)
