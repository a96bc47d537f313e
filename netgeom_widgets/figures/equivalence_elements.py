"""Elements of an equivalence class as a table that is sorted by a click on a column's head."""

from __future__ import annotations

from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.equivalence_marks import status_name
from netgeom_widgets.figures.tables import NumberedTable

_COLUMNS = (  # field, title, kind, width
    ("element", "element", "whole", 64),
    ("status", "status", "text", 110),
    ("relative_loss", "relative loss R", "decimal", 104),
    ("loss", "loss J", "decimal", 96),
    ("distance", "distance to the plane", "decimal", 156),
    ("kind", "kind", "text", 120),
    ("iterations", "iterations", "whole", 76),
    ("dead_units", "dead units", "text", 76),
)


class ElementTable(NumberedTable):
    """A row per element; ``root`` is a Bokeh table.

    Parameters
    ----------
    height : int
        In pixels.
    """

    def __init__(self, height: int = 240) -> None:
        super().__init__(_COLUMNS, height)

    def show(
        self,
        elements: Any,
        *,
        ids: Any = None,
        distance: Any = None,
        clusters: Any = None,
    ) -> None:
        """Show elements, none picked.

        Parameters
        ----------
        elements : Elements, or mapping of name to (n,) column
            Columns: ``status``, ``relative_loss``, and any of ``loss``, ``iterations``, ``dead_units`` (-1: not known).
            What is missing is not shown.
        ids : (n,) int, optional
            Numbers of the elements; 0, 1, ... by default.
        distance : (n,) float, optional
            To the plane that is drawn.
        clusters : (n,) int, optional
            Trivial copies share a label, as `cluster_elements` gives; -1 for what is no member.
        """
        table = elements.table() if hasattr(elements, "table") else dict(elements)
        n = len(table["relative_loss"])
        columns: dict[str, Any] = {
            name: np.asarray(table[name]) for name in ("relative_loss", "loss", "iterations") if name in table
        }
        columns["element"] = np.arange(n) if ids is None else np.asarray(ids)
        columns["status"] = [status_name(str(one)) for one in table["status"]] if "status" in table else None
        if "dead_units" in table:
            columns["dead_units"] = ["not known" if one < 0 else str(one) for one in np.asarray(table["dead_units"])]
        if distance is not None:
            columns["distance"] = np.asarray(distance, dtype=float)
        if clusters is not None:
            columns["kind"] = cluster_words(np.asarray(clusters), columns["element"])
        shown = {name: list(column) for name, column in columns.items() if column is not None}
        wrong = {name: len(column) for name, column in shown.items() if len(column) != n}
        if wrong:
            raise NetgeomError("The columns do not belong together.", expected=f"{n} rows each", got=f"{wrong}")
        self.fill(shown)


def cluster_words(labels: np.ndarray, ids: np.ndarray) -> list[str]:
    """What each element is: new, a copy of the first with its label, or no member (label -1)."""
    first: dict[int, int] = {}
    words = []
    for label, one in zip(labels.tolist(), ids.tolist(), strict=True):
        if label < 0:
            words.append("no member")
        elif label in first:
            words.append(f"copy of {first[label]}")
        else:
            first[label] = one
            words.append("new")
    return words
