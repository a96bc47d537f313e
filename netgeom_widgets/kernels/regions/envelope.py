"""Refinement by maxima over windows: every face is cut exactly where the winner of a window changes.

Inside a face the entries of a window are affine, so their maximum is an upper envelope. By convexity a window splits a
face only if no single entry attains the maximum at all corners of the face. Such faces are cut in rounds, each face by
at most one line a round on which two winners tie, all faces at once; with one chord to a face chords never cross. A
line of two entries may run on where a third one is larger: such pieces are removed in the end (`merging`), so the
pattern, the winner of every window, changes across every edge that stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Int16, UInt8
from numpy import ndarray
from torch import Tensor

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.regions.assembly import check_limit
from netgeom_widgets.kernels.regions.cells import Complex, Recipe
from netgeom_widgets.kernels.regions.merging import Winners, merge
from netgeom_widgets.kernels.regions.rounds import Margins, Rounds
from netgeom_widgets.kernels.regions.signs import row_blocks
from netgeom_widgets.kernels.regions.windows import Windows

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions.vertex_values import VertexValues

_BYTES_AT_ONCE = 1 << 25
_HELD_BYTES = 1 << 28
_SURPLUS = 4  # pieces that are merged in the end count on the way: how far above the limit the faces may grow before
MEMORY_ADVICE = "a smaller domain, or a narrower network"


class Entries:
    """The values at the vertices as a maximum sees them: of a minimum (``sign`` -1) the negative ones."""

    def __init__(self, values: VertexValues, sign: int) -> None:
        self._values, self._sign = values, sign
        self.low, self.high = (values.low, values.high) if sign > 0 else (-values.high, -values.low)
        self._held: Tensor | None = None
        self.place: Tensor | None = None  # column of each entry in a block, where not all are looked at

    def look_at(self, entries: Tensor) -> None:
        """Only these entries, ascending, are wanted from now on: held where few, as each pass may compute them anew."""
        if 0 < 8 * len(self._values.points) * len(entries) <= _HELD_BYTES:
            self._held = self._signed(self._values.columns(entries))
            self.place = torch.zeros(len(self.low), dtype=torch.int64)
            self.place[entries] = torch.arange(len(entries))

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Rows, and the entries there."""
        if self._held is not None:
            yield from ((rows, self._held[rows]) for rows in row_blocks(0, len(self._held), self._held.shape[1]))
        else:
            yield from ((rows, self._signed(values)) for rows, values in self._values.blocks())

    def columns(self, entries: Tensor) -> Tensor:
        """(V, n) some of the entries, ascending."""
        if self._held is None or self.place is None:
            return self._signed(self._values.columns(entries))
        return self._held if len(entries) == self._held.shape[1] else self._held[:, self.place[entries]]

    def _signed(self, values: Tensor) -> Tensor:
        return values if self._sign > 0 else -values


@dataclass(eq=False)
class Envelope:
    """What a maximum made of a complex."""

    complex: Complex
    parents: Tensor | None  # (F_new,) old face of each new face; None where nothing was cut
    recipe: Recipe  # of the new vertices
    snapped: Tensor  # (V_new,) bool: a tie was decided by the tolerance rather than by rounding alone
    winner: Tensor  # (W,) int64 position of the winner of every window that has one everywhere
    varying: Tensor  # (A,) the other windows
    winners: Callable[[int, int], Int16[ndarray, "f A"]]  # of the new faces from a first to before a last one
    sharpness: Tensor  # (A,) rounding of each varying window relative to its spread


def refine_by_maximum(
    cells: Complex,
    entries: Entries,
    windows: Windows,
    rounding: Tensor,
    *,
    op: int,
    tolerance: float,
    limit: int,
    checkpoint: Callable[[], None] = lambda: None,
) -> Envelope:
    """Cut every face where the winner of a window changes.

    Parameters
    ----------
    cells : Complex
    entries : Entries
        What the maxima are taken of, at the vertices.
    windows : Windows
        Which entries each maximum is taken over.
    rounding : Tensor
        (N,) forward rounding error of every entry.
    op : int
        Label of the new edges; their unit is the first window whose winner changes across them.
    tolerance : float
        A tie is a difference below this share of the window's spread.
    limit : int
        Most faces allowed.
    checkpoint : callable
        Called between rounds and parts of long loops; may raise to cancel.

    Raises
    ------
    TooLargeError
        More than ``limit`` faces.

    Notes
    -----
    O(V W m) for windows of m entries, plus O(V + F) a round; about log2 of the number of lines in a face rounds.
    """
    margins, spread = _margins(entries, windows, rounding, tolerance)
    winner = _winners_by_bounds(entries, windows, margins)
    varying = torch.nonzero(winner < 0).view(-1)
    entries.look_at(windows.used_by(varying))
    masks, snapped = _attained(entries, cells.n_vertices, windows, margins, varying, checkpoint)
    everywhere = torch.from_numpy(_winners_at_all(masks)).long()
    winner[varying] = everywhere
    masks, varying = masks[:, everywhere.numpy() < 0], varying[everywhere < 0]
    sharpness = 2 * rounding[windows.safe[varying]].amax(1) / spread[varying]
    dense = _winners_of_faces(cells, masks, checkpoint)
    del masks
    face, column = np.nonzero(dense < 0)
    rounds = Rounds(
        cells, entries.columns, windows, margins, varying, snapped, face, column, op=op, checkpoint=checkpoint
    )
    rounds.run(limit, surplus=_SURPLUS)
    winners = Winners(dense, face, column, rounds.root, rounds.first, rounds.winners)
    kept_as_is = Envelope(cells, None, rounds.recipe, snapped, winner, varying, winners.of_faces, sharpness)
    if rounds.cells is cells:
        return kept_as_is
    merged = merge(rounds.cells, winners, varying, op, cells.n_vertices)
    check_limit(merged.complex.n_faces, limit)
    rounds.recipe.keep(merged.kept)
    return replace(
        kept_as_is,
        complex=merged.complex,
        parents=merged.winners.root,
        snapped=rounds.snapped[merged.kept],
        winners=merged.winners.of_faces,
    )


def _margins(entries: Entries, windows: Windows, rounding: Tensor, tolerance: float) -> tuple[Margins, Tensor]:
    """The margins, and (W,) largest minus smallest value of each window's entries."""
    low, high = entries.low, entries.high
    spread = windows.gather(high[None])[0].amax(1) + windows.gather(-low[None])[0].amax(1)
    if not bool(torch.isfinite(spread).all()):
        raise NetgeomError("The entries of a maximum are not finite inside the domain", expected="finite values")
    noise = 2 * windows.gather(rounding[None])[0].amax(1)
    narrowest = torch.full_like(low, torch.inf)
    present = ~windows.absent
    of_entry = (tolerance * spread)[:, None].expand_as(windows.entries)[present]
    narrowest.scatter_reduce_(0, windows.entries[present], of_entry, "amin")
    return Margins(torch.maximum(tolerance * spread, noise), narrowest, rounding), spread


def _winners_by_bounds(entries: Entries, windows: Windows, margins: Margins) -> Tensor:
    """(W,) position of the entry that the others cannot reach by their ranges alone, -1 where there is none."""
    lowest, highest = windows.gather(entries.low[None])[0], windows.gather(entries.high[None])[0]
    best = lowest.argmax(1, keepdim=True)
    others = highest.scatter(1, best, -torch.inf).amax(1)
    return torch.where(others < lowest.gather(1, best)[:, 0] - margins.window, best[:, 0], -1)


def _attained(
    entries: Entries, n: int, windows: Windows, margins: Margins, varying: Tensor, checkpoint: Callable[[], None]
) -> tuple[ndarray, Tensor]:
    """Which entries attain each varying window's maximum at each vertex, as bits (V, A, bytes); vertices near a tie.

    Near means within the margin but not within rounding.
    """
    m = windows.entries.shape[1]
    n_bytes = -(-m // 8)
    require_memory(n * len(varying) * n_bytes, f"The ties of {len(varying):,} maxima at {n:,} vertices", MEMORY_ADVICE)
    masks = np.empty((n, len(varying), n_bytes), dtype=np.uint8)
    near = torch.zeros(n, dtype=torch.bool)
    if not len(varying):
        return masks, near
    noise = 2 * margins.rounding[windows.safe[varying]].amax(1)[:, None]
    for rows, values in entries.blocks():
        checkpoint()
        found = windows.gather(values, varying, entries.place)
        behind = found.amax(2, keepdim=True) - found
        attained = behind <= margins.window[varying, None]
        masks[rows] = np.packbits(attained.numpy(), axis=2, bitorder="little")
        near[rows] = (attained & (behind > noise)).flatten(1).any(1)
    return masks, near


def _winners_at_all(masks: UInt8[ndarray, "V A B"]) -> Int16[ndarray, " A"]:
    """(A,) first position that attains the maximum at every vertex, -1 where none does.

    Also -1 where an earlier entry attains it somewhere: on a face where both tie throughout, the earlier one wins.
    """
    winner = _lowest_bit(np.bitwise_and.reduce(masks, 0))
    return np.where(winner == _lowest_bit(np.bitwise_or.reduce(masks, 0)), winner, np.int16(-1))


def _winners_of_faces(cells: Complex, masks: ndarray, checkpoint: Callable[[], None]) -> Int16[ndarray, "F A"]:
    """(F, A) first position that attains the maximum at every corner, -1 where none does."""
    n_windows, n_bytes = masks.shape[1:]
    winners = np.empty((cells.n_faces, n_windows), dtype=np.int16)
    if not n_windows:
        return winners
    origins, offsets = cells.origins.numpy(), cells.ring_offsets.numpy()
    flat = masks.reshape(len(masks), -1)
    step = max(1, _BYTES_AT_ONCE // (6 * flat.shape[1]))
    for at in range(0, cells.n_faces, step):
        checkpoint()
        stop = min(at + step, cells.n_faces)
        corners = flat[origins[offsets[at] : offsets[stop]]]
        common = np.bitwise_and.reduceat(corners, offsets[at:stop] - offsets[at], axis=0)
        winners[at:stop] = _lowest_bit(common.reshape(stop - at, n_windows, n_bytes))
    return winners


def _lowest_bit(bits: UInt8[ndarray, "*rows B"]) -> Int16[ndarray, "*rows"]:
    """Position of the first bit that is set, -1 where none is."""
    found = _OF_BYTE[bits[..., -1]]
    for byte in range(bits.shape[-1] - 2, -1, -1):
        here = _OF_BYTE[bits[..., byte]]
        found = np.where(here >= 0, here, np.where(found < 0, found, found + 8)).astype(np.int16)
    return found


_OF_BYTE = np.array([-1, *((n & -n).bit_length() - 1 for n in range(1, 256))], dtype=np.int16)
