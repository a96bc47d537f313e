"""What a choice made in a part below the equivalence slice viewer does to the viewer."""

from __future__ import annotations

from netgeom_widgets.widgets.parts import Parts


class ViewerParts(Parts):
    """Parts whose marks are elements; their subject is the `Picture` shown.

    What a part finds in parameter space it lays over the slice with ``Overlays._overlay(key, curves, directions)``.
    """

    def _pick_element(self, element: int) -> None:
        """Answer a click on an element."""
        self._paint(lambda: setattr(self, "element", element), "pick")  # type: ignore[attr-defined]
