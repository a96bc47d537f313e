"""A run in a process of its own, to be killed: `python -m tests.recording.writer PATH RUN_ID`."""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import nn

from netgeom_widgets.recording import Recorder

N_SAMPLES, WIDTH = 200, 300


def expected_outputs(step: int) -> np.ndarray:
    """What snapshot `step` holds: each number is a function of its place and of the step."""
    return np.float32(step) + np.arange(N_SAMPLES * WIDTH, dtype=np.float32).reshape(N_SAMPLES, WIDTH) / 2**20


class Known(nn.Module):
    """Gives `expected_outputs` of the step it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1000))
        self.step = 0
        self.layer = nn.Identity()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.from_numpy(expected_outputs(self.step)))


def main(path: str, run_id: str, first: int) -> None:
    model = Known()
    model.step = first
    with Recorder(
        model, torch.zeros(N_SAMPLES, 1), path=path, layers="layer", parameters=True, run_id=run_id, every=1
    ) as recorder:
        print("recording", flush=True)
        while True:
            model.step += 1
            nn.init.constant_(model.weight, model.step)
            recorder.step(model.step, loss=model.step / 4, **({"late": 1.0} if model.step > 20 else {}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
