"""What is said of an order retraction: states that a reader must know of, a node, a cell of the grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.figures.order_retraction_words import share
from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.order_retraction_picture import Picture
from netgeom_widgets.widgets.settings import shortened

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import FittedMap

#: Obstructions listed.
_LISTED = 100
JOIN, SEVERAL, NONE, LEAVES = range(4)


def counted(count: int, what: str, several: str = "") -> str:
    """A number with its noun."""
    return f"{count:,} {what if count == 1 else several or what + 's'}"


def summary(picture: Picture) -> str:
    """A few words for the status line."""
    k = picture.decomposition.n_nodes
    cells = picture.grid.n_cells
    exists = {True: "order retraction found", False: "no order retraction", None: "join rule undecided"}
    words = [counted(cells, "cell"), counted(k, "Morse node") if k else "empty Morse graph"]
    return ", ".join([*words, exists[picture.retraction.exists]] if k else words)


def remarks(picture: Picture) -> list[str]:
    """What belongs to every reading of the picture, the most important first."""
    return [*_on_graph(picture), *_on_retraction(picture), *_on_leaving(picture), *_on_map(picture), *_on_runs(picture)]


def _on_graph(picture: Picture) -> list[str]:
    found, used = picture.found, picture.decomposition
    if not found.n_nodes:
        return ["No cell returns to itself: the Morse graph is empty. Nothing stays in this domain for ever."]
    words = []
    merged = found.n_nodes - used.n_nodes
    if merged:
        words.append(f"{counted(merged, 'Morse node')} of {found.n_nodes:,} collapsed: not drawn, not in the order.")
    if not used.n_nodes:
        words.append("All nodes were collapsed: the Morse graph is empty.")
    single = int((np.asarray(used.sizes) == 1).sum())
    if single:
        are = "is a single cell" if single == 1 else "are single cells"
        words.append(
            f"{single:,} of {counted(used.n_nodes, 'Morse node')} {are}: such may be spurious. "
            "More subdivisions, or collapsing small nodes, tell."
        )
    return words + [str(note) for note in getattr(used, "notes", ())]


def _on_retraction(picture: Picture) -> list[str]:
    retraction, status = picture.retraction, np.asarray(picture.retraction.status)
    open_cells = int(np.isin(status, (SEVERAL, NONE)).sum())
    if not picture.decomposition.n_nodes or not open_cells:
        return []
    of = f"{open_cells:,} of {counted(len(status), 'cell')} ({share(open_cells, len(status))})"
    if retraction.exists is False:
        return [f"There is no order retraction. The join rule finds no value for {of}; see the cells listed."]
    if retraction.exists is None:
        why = "the exact search gave up" if retraction.rule == "exact" else "the exact search may tell"
        return [f"The join rule leaves {of} undecided. Whether an order retraction exists is not known: {why}."]
    return [f"The join rule leaves {of} undecided; the exact search found an order retraction."]


def _on_leaving(picture: Picture) -> list[str]:
    found, n = picture.found, picture.grid.n_cells
    leaves = ~np.asarray(found.reach_sets).any(axis=1)[np.asarray(found.reach)]
    gone, maybe = int(leaves.sum()), int(np.asarray(picture.retraction.may_leave).sum())
    lost = int((np.asarray(picture.retraction.status) == LEAVES).sum()) - gone
    words = []
    if gone:
        words.append(f"{share(gone, n)} of the cells reach no Morse set: whatever starts there leaves the domain.")
    if lost:
        words.append(f"{share(lost, n)} of the cells reach collapsed Morse nodes alone: they have no tile.")
    if maybe > gone:
        words.append(f"{share(maybe, n)} of the cells have some way out of the domain: they may leave.")
    return words


def _on_map(picture: Picture) -> list[str]:
    from netgeom_widgets.kernels.order_retraction import FittedMap

    space, method = picture.space, picture.settings["method"]
    words = []
    if method == "confidence":
        words.append(f"Images are boxes of ±{number(picture.settings['z'])} standard deviations at the corners.")
    else:
        of = "the corners" if method == "corners" else "the centre"
        words.append(f"The image of a cell is taken from {of}: what the map does in between is not looked at.")
    p, d = picture.source.most_dims, picture.grid.dims
    if p > d:
        words.append(
            f"{d} of {p} coordinates: where a run goes depends on the others too, so these are not autonomous."
        )
    return words + (_on_fit(space.map) if isinstance(space.map, FittedMap) else [])


def _on_fit(map: FittedMap) -> list[str]:
    words = [str(warning) for warning in map.warnings]
    if any("losure defect" in warning for warning in words):
        return words
    defect = number(map.closure_defect)
    return [*words, f"Closure defect {defect}: 0 where these coordinates decide the end, 1 where they do not."]


def _on_runs(picture: Picture) -> list[str]:
    outside, n = int((picture.start_cells < 0).sum()), picture.source.n_runs
    return [f"{outside:,} of {counted(n, 'run')} start outside the domain."] if outside else []


def node_words(picture: Picture, node: int) -> str:
    """What is known of a Morse node."""
    used = picture.decomposition
    n, tile = picture.grid.n_cells, int((np.asarray(picture.retraction.node) == node).sum())
    below = [i for i in range(used.n_nodes) if used.leq[i, node] and i != node]
    words = [
        f"Node {node}: Morse set of {counted(int(used.sizes[node]), 'cell')}",
        f"tile {share(tile, n)} of the domain",
        f"above {_listed(below)}" if below else "a minimal node: an attractor",
    ]
    if picture.source.n_runs:
        words.append(f"{counted(int((picture.start_nodes == node).sum()), 'run')} start in the tile")
    return ", ".join(words)


def node_lines(picture: Picture) -> list[tuple[str, int]]:
    """The Morse nodes for a list, the topmost first."""
    used = picture.decomposition
    tiles = np.bincount(picture.retraction.node[picture.retraction.node >= 0], minlength=used.n_nodes)
    n = picture.grid.n_cells
    return [
        (f"node {p}: {counted(int(used.sizes[p]), 'cell')}, tile {share(int(tiles[p]), n)}", p)
        for p in reversed(range(used.n_nodes))
    ]


def cell_words(picture: Picture, cell: int) -> str:
    """What is known of a cell of the grid: where it is, its node, status, and the runs that start there."""
    lower, upper = (side[0] for side in picture.grid.boxes([cell]))
    sides = [f"{name} {number(a)} to {number(b)}" for name, a, b in zip(picture.space.names, lower, upper, strict=True)]
    words = [f"Cell {cell:,}: {', '.join(sides)}", in_words(picture, cell)]
    if bool(picture.retraction.may_leave[cell]) and int(picture.retraction.status[cell]) != LEAVES:
        words.append("may leave the domain")
    runs = np.flatnonzero(picture.start_cells == cell)
    if len(runs):
        named = [picture.source.run_words[i] for i in runs]
        words.append(f"{counted(len(runs), 'run')} start here ({shortened(named, 4)})")
    return "; ".join(words)


def in_words(picture: Picture, cell: int) -> str:
    """Which Morse set and tile a cell lies in, or why in none."""
    used, retraction = picture.decomposition, picture.retraction
    label, node, status = (int(part[cell]) for part in (used.label, retraction.node, retraction.status))
    reached = np.flatnonzero(used.reach_sets[used.reach[cell]]) if used.n_nodes else []
    if label >= 0:
        return f"in Morse set {label}"
    if status == LEAVES:
        return "reaches no Morse set"
    if status == JOIN:
        return f"tile of node {node}"
    why = "several nodes lie just above" if status == SEVERAL else "no node lies above"
    told = f"reaches {_listed(reached)}: {why}"
    return f"{told}; the exact search puts it into the tile of node {node}" if node >= 0 else f"undecided: {told}"


def obstruction_lines(picture: Picture) -> list[tuple[str, int]]:
    """Boxes that stand in the way of an order retraction, for a list."""
    lines = []
    for one in picture.retraction.obstructions:
        above = f"just above: {_listed(one.upper_bounds)}" if len(one.upper_bounds) else "nothing above all of them"
        lines += [(f"cell {int(cell):,} reaches {_listed(one.below)}; {above}", int(cell)) for cell in one.cells]
        if len(lines) >= _LISTED:
            break
    return lines[:_LISTED]


def _listed(nodes: Sequence[Any] | np.ndarray) -> str:
    whole = [int(node) for node in nodes]
    return f"{'node' if len(whole) == 1 else 'nodes'} {shortened(whole)}" if whole else "no node"
