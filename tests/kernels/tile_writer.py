"""Tiles in a process of its own, to be killed: `python -m tests.kernels.tile_writer PATH TILES`."""

from __future__ import annotations

import sys
import threading

import numpy as np
import torch
from torch import nn

from netgeom_widgets.execution import Progress
from netgeom_widgets.kernels.similarity import similarity_tiles

N, LABELS = 150, np.arange(150) % 3


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def inputs(n: int = N, seed: int = 1) -> torch.Tensor:
    found = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))
    found[n // 2] = found[3]  # a tie everywhere
    return found


def write(path: str, **options):
    return similarity_tiles(network(), inputs(), path, labels=LABELS, **{"tile": 32, "top": 7, "bins": 40, **options})


def main(path: str, tiles: int) -> None:
    def listener(progress: Progress) -> None:
        if progress.done >= tiles:
            print("here", flush=True)
            threading.Event().wait()

    write(path, progress=Progress(listener))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
