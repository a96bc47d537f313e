"""One thing that is shown under a figure on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import ipywidgets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress

Publish = Callable[[Any], None]
Go = Callable[[int], None]  # called with the id of a sample that was picked


class NothingToShowError(NetgeomError):
    """Raised by :meth:`Part.compute` where it turns out that there is nothing to show; the fold says why."""


class Part:
    """One thing that a fold shows. A subclass says what it needs, computes it, and draws it; it knows no widget.

    ``subject`` is what the widget says that the parts are about: the same object while nothing changes.

    Attributes
    ----------
    key : str
        Name of the trait that says whether it is open.
    title, tooltip : str
        Of its button.
    options : tuple of str
        Names of the traits that it is computed with.
    marks : tuple of str
        Names of the traits that only mark something in it.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    tooltip: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    marks: ClassVar[tuple[str, ...]] = ()

    def needed(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options, those put to one value that have no effect beside the others: their changes draw nothing."""
        return options

    def lacks(self, subject: Any, options: dict[str, Any]) -> str:
        """Why there is nothing to show, in words; empty when there is."""
        return ""

    def compute(
        self, subject: Any, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Any:
        """What is drawn; ``publish(partial)`` shows a first part of it."""
        raise NotImplementedError

    def make(self) -> LayoutDOM:
        """The Bokeh model to show; called once, before the first drawing."""
        raise NotImplementedError

    def controls(self) -> list[ipywidgets.Widget]:
        """What stands above the figure; called once."""
        return []

    def below(self) -> list[ipywidgets.Widget]:
        """What stands below the figure; called once."""
        return []

    def draw(self, found: Any, subject: Any) -> None:
        """Change the Bokeh models to show it."""
        raise NotImplementedError

    def mark(self, marks: dict[str, Any]) -> None:
        """Change the Bokeh models to show the traits named in ``marks``; after each drawing too."""

    def pictured(self, root: LayoutDOM) -> LayoutDOM | None:
        """What exported pages and pictures hold of what :meth:`make` returned: not tables, whose numbers are data."""
        return root

    def words(self, found: Any, subject: Any) -> str:
        """A sentence on it."""
        raise NotImplementedError

    def arrays(self, found: Any) -> dict[str, Any]:
        """Its numbers by name, for the export."""
        return {}
