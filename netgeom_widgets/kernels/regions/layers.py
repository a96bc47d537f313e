"""What is kept of an activation op: how it split the regions, and the branch of its units in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int, Int32, UInt8
from numpy import ndarray

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions.envelope import Envelope
    from netgeom_widgets.kernels.regions.windows import Windows

_NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Layer:
    """One activation op: how it split the regions before it, and the branch of its units in every region after it.

    The branch of a unit is a constant and the weights of the bits that are set for it in a region. Of an elementwise op
    a bit says that the unit exceeds one of its breakpoints; of a maximum the bits are the binary digits of the winner.
    """

    name: str
    n_breakpoints: int  # of an elementwise op; 0: a maximum
    shape: tuple[int, ...]
    n_regions: int
    base: Int[ndarray, " N"]
    varying: Int32[ndarray, " A"]  # unit of each bit, ascending
    weights: Int[ndarray, " A"] | None  # of each bit; None: all 1
    bits: UInt8[ndarray, "F B"]  # bit i of byte j of a region: whether bit 8j+i is set
    parents: Int32[ndarray, " F"] | None  # region before this op; None where it split nothing

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.base)

    def branches(self, regions: Int[ndarray, " M"]) -> Int[ndarray, "M N"]:
        """(M, N) branch of every unit in regions of this layer."""
        found = np.repeat(self.base[None], len(regions), 0)
        if len(self.varying):
            bits = np.unpackbits(self.bits[regions], axis=1, count=len(self.varying), bitorder="little")
            starts = np.flatnonzero(np.append(True, self.varying[1:] != self.varying[:-1]))
            if self.weights is not None:
                bits = bits * self.weights.astype(found.dtype)
            if len(starts) < len(self.varying):
                bits = np.add.reduceat(bits, starts, axis=1, dtype=found.dtype)
            found[:, self.varying[starts]] += bits.astype(found.dtype, copy=False)
        return found


def branch_type(largest: int) -> type[np.int8] | type[np.int16]:
    """The integers that hold branches up to ``largest``."""
    return np.int8 if largest <= np.iinfo(np.int8).max else np.int16


def maximum_layer(name: str, windows: Windows, found: Envelope) -> Layer:
    """The layer of a maximum: which entry wins in every window."""
    n_digits = max(1, int(windows.entries.shape[1] - 1).bit_length())
    digits = np.arange(n_digits)
    varying = found.varying.numpy()
    n_faces, width = found.complex.n_faces, len(varying) * n_digits
    bits = np.empty((n_faces, -(-width // 8)), dtype=np.uint8)
    step = max(1, _NUMBERS_AT_ONCE // max(1, width))
    for at in range(0, n_faces, step):
        stop = min(at + step, n_faces)
        of_window = found.winners(at, stop)[:, :, None] >> digits & 1
        bits[at:stop] = np.packbits(of_window.astype(bool).reshape(stop - at, -1), axis=1, bitorder="little")
    dtype = branch_type(windows.entries.shape[1] - 1)
    return Layer(
        name,
        0,
        windows.shape,
        n_faces,
        np.maximum(found.winner.numpy(), 0).astype(dtype),
        np.repeat(varying, n_digits).astype(np.int32),
        np.tile(1 << digits, len(varying)).astype(dtype),
        bits,
        None if found.parents is None else found.parents.numpy().astype(np.int32),
    )
