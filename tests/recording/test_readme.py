"""The README's lines on recording do what they say."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest

import netgeom_widgets as ng
from tests.recording.runs import data, network, same_state, state, train

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.DOTALL)


def block(words: str) -> str:
    (found,) = [text for text in BLOCKS if words in text]
    return found


def test_the_plain_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    states = []

    def train_one_epoch(model):
        losses = []
        train(model, 1, seed=len(states), after_epoch=lambda epoch, loss: losses.append(loss))
        states.append(state(model))
        return losses[0]

    X, y = data()
    names = {"ng": ng, "net": network(), "X": X, "y": y, "train_one_epoch": train_one_epoch, "copy": copy}
    exec(block("for epoch in range(20)"), names)  # noqa: S102 - our own README
    exec(block("recording.restore("), names)  # noqa: S102
    assert names["recording"].steps.tolist() == list(range(21))
    assert np.isfinite(names["recording"].metrics["loss"][1:]).all()
    assert same_state(state(names["earlier"]), states[2])


def test_the_recipes_for_trainers_are_python() -> None:
    for words in ("lightning.Callback", "transformers.TrainerCallback"):
        compile(block(words), "README.md", "exec")
        assert "recorder.step(" in block(words)
