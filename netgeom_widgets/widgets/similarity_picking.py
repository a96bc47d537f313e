"""Mixin of the similarity matrix: which row and which pair are picked, by click, by keyboard, or by assignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.similarity_panel import SimilarityPanel
from netgeom_widgets.widgets.similarity_picture import Picture
from netgeom_widgets.widgets.similarity_source import Source

Pair = tuple[int, int]


class Picking(traitlets.HasTraits):
    """``row`` and ``pair`` stay in step: a pair belongs to the row that is its first input."""

    _source: Source
    _panel: SimilarityPanel
    _picture: Picture | None = None

    def _panel_of_rows(self) -> SimilarityPanel:
        """The controls that pick; made once."""
        self._panel = SimilarityPanel(
            go=self._go,
            step=self._step_row,
            pair=self._go_pair,
            take=self._take_neighbours,
            clear=lambda: setattr(self, "selection", ()),
        )
        return self._panel

    @traitlets.validate("row")
    def _check_row(self, proposal: Any) -> int | None:
        row, n = proposal["value"], len(self._source.samples)
        if row is not None and row >= n:
            raise NetgeomError("There is no such input.", expected=f"None or an id from 0 to {n - 1}", got=str(row))
        return row  # type: ignore[no-any-return]

    @traitlets.validate("pair")
    def _check_pair(self, proposal: Any) -> Pair | None:
        pair, n = proposal["value"], len(self._source.samples)
        if pair is not None and max(pair) >= n:
            raise NetgeomError("There is no such pair.", expected=f"None or two ids from 0 to {n - 1}", got=str(pair))
        return pair  # type: ignore[no-any-return]

    @traitlets.observe("pair")
    def _follow_pair(self, change: Any) -> None:
        if change["new"] is not None:
            self.row = change["new"][0]

    @traitlets.observe("row")
    def _follow_row(self, change: Any) -> None:
        pair: Pair | None = self.pair
        if pair is not None and pair[0] != change["new"]:
            self.pair = None

    # ---- what is asked

    def _tapped(self, row: int, column: int) -> None:
        """Pick the cell that was tapped, or nothing if it was picked; on the diagonal it is a row alone."""
        picked: Pair | None = None if row == column else (row, column)
        again = self.row == row and self.pair == picked
        with self.hold_trait_notifications():
            self.row, self.pair = (None, None) if again else (row, picked)

    def _go(self, row: Any) -> None:
        """Pick the row that was typed."""
        self._pick_typed("row", row)

    def _go_pair(self, other: Any) -> None:
        """Pick the pair of the row and what was typed or chosen."""
        if other is None or self.row is None:
            self.pair = None
            if other is not None:
                self._say("choose a row first")
                self._panel.show_picked(None, None, "")
        else:
            self._pick_typed("pair", (self.row, other))

    def _pick_typed(self, name: str, value: Any) -> None:
        try:
            setattr(self, name, value)
        except (NetgeomError, traitlets.TraitError) as error:
            no_number = NetgeomError("An id is a whole number from 0.", got=str(value))
            self._say(str(no_number if isinstance(error, traitlets.TraitError) else error))
            self._paint(self._draw_pair, "pair")  # the box shows what is picked again

    def _step_row(self, by: int) -> None:
        """Go to the next input of the selection, or of all, in the order shown."""
        picture = self._picture
        n = len(self._source.samples)
        order = np.arange(n) if picture is None else picture.order
        ids: list[int] = order.tolist()
        selection: tuple[int, ...] = self.selection
        if selection:
            chosen = set(selection)
            ids = [i for i in ids if i in chosen]
        at = ids.index(self.row) + by if self.row in ids else (0 if by > 0 else -1)
        self.row = ids[at % len(ids)]

    def _take_neighbours(self) -> None:
        """Select the row and what is more similar to it than the threshold."""
        picture, row, threshold = self._picture, self.row, self.threshold
        if picture is None or row is None:
            return

        def take() -> None:
            beyond = np.flatnonzero(picture.entries.row(row) > threshold).tolist()
            self.selection = tuple(dict.fromkeys([row, *beyond]))

        self._paint(take, "take")

    def _boxed(self, rows: list[int], columns: list[int]) -> None:
        """Select the inputs of the rows and of the columns that a box was drawn around."""
        self.selection = tuple(dict.fromkeys([*rows, *columns]))
