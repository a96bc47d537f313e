"""What an order retraction plot shows of one run: the map, its grid, the decomposition, the retraction, the runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.widgets.order_retraction_source import Source
from netgeom_widgets.widgets.order_retraction_space import OF_IMAGES, OF_MAP, Space, ends_of, fitted_space, given_space
from netgeom_widgets.widgets.recent import Recent
from netgeom_widgets.widgets.settings import bad_setting

#: A first picture at once has about so many cells; finer ones follow, each so many times as fine.
COARSE, STEP = 10, 4
#: Results with more cells than this are not kept beside the newest.
_KEPT_CELLS = 1 << 18


@dataclass(frozen=True, eq=False)
class Picture:
    """All of one run; what the panels under the figure are about.

    Attributes
    ----------
    source : Source
        What was given: ``per_run``, ``labels``, ``run_ids``.
    space : Space
    grid : CubicalGrid
    found : MorseDecomposition
        Before nodes were collapsed.
    retraction : OrderRetraction
        Its ``decomposition`` is after.
    settings : dict
        Of the widget.
    final : bool
        Whether the grid is as fine as asked.
    """

    source: Source
    space: Space
    grid: Any
    found: Any
    retraction: Any
    settings: dict[str, Any]
    final: bool

    @property
    def decomposition(self) -> Any:
        """The Morse decomposition that the retraction is of."""
        return self.retraction.decomposition

    @property
    def kept(self) -> tuple[int, ...]:
        """Number that each node had before others were collapsed."""
        return tuple(self.decomposition.settings.get("kept", range(self.found.n_nodes)))

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each run starts, (runs, d); no rows without runs."""
        return self._at(0)

    @cached_property
    def ends(self) -> np.ndarray:
        """Where each run ends, (runs, d)."""
        return self._at(1)

    @cached_property
    def start_cells(self) -> np.ndarray:
        """The cell in which each run starts, (runs,) int64; -1 outside the domain."""
        return np.asarray(self.grid.locate(self.starts))

    @cached_property
    def start_nodes(self) -> np.ndarray:
        """The node of the tile in which each run starts, (runs,) int64; -1 for none."""
        return _at_cells(self.retraction.node, self.start_cells)

    @cached_property
    def end_nodes(self) -> np.ndarray:
        """The same for where each run ends."""
        return _at_cells(self.retraction.node, np.asarray(self.grid.locate(self.ends)))

    def runs_until(self, step: int | None) -> np.ndarray | None:
        """The runs from their starts to a recorded step, to their ends at most, (runs, times, d); None without runs."""
        if self.space.runs is None:
            return None
        start, end = ends_of(self.source, self.settings)
        last = end if step is None else min(max(start, self.source.steps.index(step)), end)
        return np.asarray(self.space.runs.values[:, start : last + 1])

    def _at(self, end: int) -> np.ndarray:
        if self.space.runs is None:
            return np.empty((0, self.grid.dims))
        return np.asarray(self.space.runs.values[:, ends_of(self.source, self.settings)[end]])


class PictureMaker:
    """Makes pictures, and computes nothing twice; used on one thread only."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.forget()

    def forget(self) -> None:
        """Let go of all results."""
        self._spaces, self._decompositions, self._pictures = Recent(8), Recent(8), Recent(8)

    def picture(
        self,
        given: Any,
        settings: dict[str, Any],
        key: Any,
        *,
        progress: Progress,
        cancel: Cancel,
        publish: Callable[[Picture], None],
    ) -> Picture:
        """The picture for some settings; coarse ones are published first.

        Parameters
        ----------
        given : (map, std) or None
            The map as it was copied when the run started; None where it is fitted.
        settings : dict
            Of the widget.
        key : hashable
            Says which copy it is: of the same one with the same settings nothing is computed again.
        """
        wanted = (key, *(settings[name] for name in (*OF_MAP, *OF_IMAGES, "rule", "min_cells", "collapsed")))
        held = self._pictures.find(wanted)
        if held is not None:
            self._pictures.put(wanted, held)
            return held  # type: ignore[no-any-return]
        progress.update(text="fitting the map" if given is None else "computing …")
        space = self._space(given, settings, key, progress, cancel)
        n = settings["subdivisions"]
        if 1 << n > _KEPT_CELLS:
            self._decompositions, self._pictures = Recent(2), Recent(1)
        for level in levels(n):
            cancel.checkpoint()
            picture = self._at_level(space, settings, key, level, progress, cancel)
            if level < n:
                publish(picture)
        self._pictures.put(wanted, picture)
        return picture

    def _space(self, given: Any, settings: dict[str, Any], key: Any, progress: Progress, cancel: Cancel) -> Space:
        wanted = (key, *(settings[name] for name in OF_MAP))
        held = self._spaces.find(wanted)
        if held is None:
            cancel.checkpoint()
            if given is not None:
                held = given_space(self.source, given)
            else:
                held = fitted_space(self.source, settings, progress=progress, cancel=cancel)
        self._spaces.put(wanted, held)
        return held  # type: ignore[no-any-return]

    def _at_level(
        self, space: Space, settings: dict[str, Any], key: Any, level: int, progress: Progress, cancel: Cancel
    ) -> Picture:
        from netgeom_widgets.kernels.order_retraction import collapse, order_retraction

        found = self._decomposition(space, {**settings, "subdivisions": level}, key, progress, cancel)
        final = level == settings["subdivisions"]
        kept = kept_nodes(found, settings["min_cells"], settings["collapsed"] if final else ())
        used = collapse(found, kept) if len(kept) < found.n_nodes else found
        cancel.checkpoint()
        progress.update(text=f"order retraction of {found.n_cells:,} cells")
        rule = settings["rule"] if final else "join"
        retraction = order_retraction(used, rule=rule, progress=progress, cancel=cancel)
        return Picture(self.source, space, found.grid, found, retraction, settings, final)

    def _decomposition(
        self, space: Space, settings: dict[str, Any], key: Any, progress: Progress, cancel: Cancel
    ) -> Any:
        from netgeom_widgets.kernels.order_retraction import CubicalGrid, box_images, morse_decomposition

        wanted = (key, *(settings[name] for name in (*OF_MAP, *OF_IMAGES)))
        held = self._decompositions.find(wanted)
        if held is None:
            grid = CubicalGrid(*space.domain(settings["margin"]), settings["subdivisions"])
            progress.update(text=f"images of {grid.n_cells:,} boxes")
            images = box_images(space.map, grid, **_options(space, settings), progress=progress, cancel=cancel)
            cancel.checkpoint()
            progress.update(text=f"Morse graph of {grid.n_cells:,} cells")
            held = morse_decomposition(images, progress=progress, cancel=cancel)
        self._decompositions.put(wanted, held)
        return held


def levels(n: int) -> list[int]:
    """Subdivisions of the pictures that are shown one after the other; the last is the one asked for."""
    return [*range(COARSE, n - 1, STEP), n]


def _options(space: Space, settings: dict[str, Any]) -> dict[str, Any]:
    """Keywords of ``box_images``."""
    if settings["method"] != "confidence":
        return {"method": settings["method"], "padding": settings["padding"]}
    return {"method": "confidence", "padding": settings["padding"], "z": settings["z"], "std": space.std}


def _at_cells(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """A value of each cell, -1 where there is none."""
    return np.where(cells >= 0, np.asarray(values)[np.maximum(cells, 0)], -1).astype(np.int64)


def kept_nodes(found: Any, min_cells: int, collapsed: tuple[int, ...]) -> list[int]:
    """The nodes that stay when those of fewer cells, and those chosen, are collapsed."""
    if collapsed and collapsed[-1] >= found.n_nodes:
        expected = f"numbers below {found.n_nodes}" if found.n_nodes else "(): the Morse graph is empty"
        raise bad_setting("collapsed", "There are no such Morse nodes to collapse.", expected, collapsed)
    from netgeom_widgets.kernels.order_retraction import small_nodes

    gone = {*collapsed, *small_nodes(found, min_cells).tolist()}
    return [node for node in range(found.n_nodes) if node not in gone]
