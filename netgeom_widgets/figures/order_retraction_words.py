"""Words of the phase plane: what its colours mean, how much of it is what, which slice is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.order_retraction_colours import ENDS, NodeColours
from netgeom_widgets.figures.order_retraction_raster import RetractionRaster, nothing_reached, slice_words
from netgeom_widgets.figures.plots import LEGEND_ENTRIES

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import OrderRetraction

Entry = tuple[str, str, str]

#: Shown in the legend where cells may leave the domain.
_STRIPE = "#606060"


def share(count: int, of: int) -> str:
    """A part of all in percent; small parts are not written as nothing, nor large ones as all."""
    if not count or not of:
        return "0 %"
    part = 100 * count / of
    if 99.5 <= part < 100:
        return "> 99 %"
    return f"{part:.0f} %" if part >= 9.5 else f"{part:.2g} %" if part >= 0.1 else "< 0.1 %"


def legend_entries(retraction: OrderRetraction, colours: NodeColours) -> list[Entry]:
    """Name, colour and sign of each node, then of cells without one; of many nodes those with the largest tiles."""
    sizes, tiles = np.asarray(retraction.decomposition.sizes), np.asarray(retraction.tile_sizes)
    n, names = retraction.decomposition.n_cells, colours.names
    nodes = np.argsort(-tiles, kind="stable")[: LEGEND_ENTRIES - 3 if len(tiles) > LEGEND_ENTRIES - 2 else None]
    entries = [
        (f"{node}: {_cells(int(sizes[node]))}, tile {share(int(tiles[node]), n)}", names[node], "square")
        for node in sorted(nodes.tolist())
    ]
    if len(nodes) < len(tiles):
        entries.append((f"and {len(tiles) - len(nodes)} more nodes", "#ffffff", "dot"))
    status, node = np.asarray(retraction.status), np.asarray(retraction.node)
    if (status == 3).any():
        word = nothing_reached(retraction.decomposition)
        entries.append((f"{word}: {share(int((status == 3).sum()), n)}", ENDS, "square"))
    open_ = (node < 0) & (status != 3)
    if open_.any():
        sets = np.asarray(retraction.decomposition.reach_sets)
        common = np.bincount(np.asarray(retraction.decomposition.reach)[open_], minlength=len(sets)).argmax()
        colour = palettes.to_hex(colours.blends(sets[[common]])[1])[0]
        entries.append((f"undecided, striped: {share(int(open_.sum()), n)}", colour, "square"))
    leaves = np.asarray(retraction.may_leave) & (status != 3)
    if leaves.any():
        entries.append((f"may leave: {share(int(leaves.sum()), n)}", _STRIPE, "x"))
    return entries


def plane_words(retraction: OrderRetraction, raster: RetractionRaster, names: Sequence[str]) -> list[str]:
    """Sentences below the plane."""
    status, node = np.asarray(retraction.status), np.asarray(retraction.node)
    n, k = retraction.decomposition.n_cells, raster.k
    grid = retraction.decomposition.grid
    shape = () if grid is None else grid.shape
    said = [slice_words(grid, raster.at, names), f"{' × '.join(map(str, shape))} cells."]
    if not k and "kept" in retraction.decomposition.settings:
        said.append("All Morse nodes were left out.")
    elif not k:
        said.append("No cell is recurrent: there is no Morse set.")
    else:
        said.append("Strong colour: Morse set; light: its tile, the least node above all that a cell still reaches.")
    leaves = np.asarray(retraction.may_leave) & (status != 3)
    if leaves.any():
        said.append("Falling stripes: may leave the domain.")
    if (status == 3).any():
        part = share(int((status == 3).sum()), n)
        said.append(f"Grey: {nothing_reached(retraction.decomposition)} ({part}).")
    searched = int(((node >= 0) & ((status == 1) | (status == 2))).sum())
    if searched:
        said.append(f"{searched:,} cells without a least node above have theirs by search.")
    open_ = (node < 0) & (status != 3)
    if open_.any():
        why = [
            f"{int(count):,} {what}"
            for count, what in (
                ((open_ & (status == 1)).sum(), "with several least nodes above"),
                ((open_ & (status == 2)).sum(), "with no node above"),
            )
            if count
        ]
        said.append(f"Rising stripes: undecided, in colours of nodes reached ({', '.join(why)}).")
    known = {True: "", False: "No order retraction exists.", None: "Whether an order retraction exists is open."}
    said.append(known[retraction.exists])
    return said


def pixel_words(factor: int, is_line: bool) -> str:
    """What a pixel of several cells shows; empty where it is one cell."""
    if factor == 1:
        return ""
    cells = f"{factor}" if is_line else f"{factor} × {factor}"
    return f"Each pixel: the colour of most of {cells} cells; Morse sets win, the smallest first."


def node_words(node: int, part: str) -> str:
    """What is not veiled while a node is picked."""
    return {
        "set": f"Not veiled: Morse set {node}.",
        "tile": f"Not veiled: Morse set {node} and its tile.",
        "basin": f"Not veiled: cells that reach only node {node} and nodes below it.",
    }[part]


def run_words(n: int, outside: int, *, projected: bool, lines: bool) -> str:
    """What is drawn of the runs."""
    if not n:
        return ""
    said = f"Circle: start of a run, coloured by its tile; diamond: its end{'; line: its way' if lines else ''}."
    if outside:
        said += f" {outside} of {n} start outside the domain."
    return said + (" Runs are seen from all places of the further axes." if projected else "")


def picked_cell_words(cell: int, kind: str, has_image: bool, reached: np.ndarray | None, has_orbit: bool) -> str:
    """What is marked of a picked cell."""
    said = f"Cell {cell:,} ({kind}), outlined"
    said += "; dashed: the cells it is sent to" if has_image else "; it is sent outside the domain"
    said += "" if reached is None else f"; not veiled: the {int(reached.sum()):,} cells it reaches"
    return said + ("; black: an orbit." if has_orbit else ".")


def _cells(n: int) -> str:
    return f"{n:,} cell{'' if n == 1 else 's'}"
