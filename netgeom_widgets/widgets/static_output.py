"""What a notebook stores of a widget: a picture in an output of its own, hidden while the widget lives.

A picture inside the widget's own output would not do: in a trusted notebook JupyterLab prefers the widget, which is
gone when the notebook is opened again, and that output is made before a run has ended.
"""

from __future__ import annotations

import base64
import uuid
from typing import Any

EMPTY_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def _publisher() -> Any:
    """IPython's display function where there is a kernel behind a notebook, else None."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    return display


class StoredPicture:
    """The two outputs of a displayed widget: the widget, and under it the picture that stays.

    Displayed several times, all displays share the two ids, so one update reaches them all.
    """

    def __init__(self) -> None:
        self._widget_id, self._picture_id = f"netgeom-{uuid.uuid4().hex}", f"netgeom-{uuid.uuid4().hex}"
        self.displayed = False
        self._picture: dict[str, Any] | None = None
        self._about: dict[str, Any] = {}

    def display(self, bundle: dict[str, Any], text: str) -> bool:
        """Make both outputs; False where there is no notebook.

        Parameters
        ----------
        bundle : dict
            Mime bundle of the widget.
        text : str
            What stands for the picture where pictures cannot be shown.
        """
        publish = _publisher()
        if publish is None:
            return False
        publish(bundle, raw=True, display_id=self._widget_id)
        empty = {"image/png": base64.b64encode(EMPTY_PNG).decode(), "text/plain": text}
        publish(self._picture or empty, metadata=self._about, raw=True, display_id=self._picture_id)
        self.displayed = True
        return True

    @property
    def has_picture(self) -> bool:
        """Whether a picture was made yet."""
        return self._picture is not None

    def update(self, png: bytes, text: str) -> None:
        """Store another picture, from any thread."""
        self._picture = {"image/png": base64.b64encode(png).decode(), "text/plain": text}
        # pictures have 144 dots an inch, a page 96: without the width they would stand larger than the figure did
        self._about = {"image/png": {"width": int.from_bytes(png[16:20], "big") * 96 // 144}}
        publish = _publisher() if self.displayed else None
        if publish is not None:
            publish(self._picture, metadata=self._about, raw=True, display_id=self._picture_id, update=True)

    def retire(self, text: str) -> None:
        """Put a line of text where the widget was; the picture shows from now on."""
        publish = _publisher() if self.displayed else None
        self.displayed = False
        if publish is not None:
            publish({"text/plain": text}, raw=True, display_id=self._widget_id, update=True)
