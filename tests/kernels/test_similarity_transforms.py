"""Tests of the built-in changes of images: kernels/similarity/transforms.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.similarity import image_transforms


def test_each_change_of_a_small_image():
    batch = np.arange(18.0).reshape(2, 1, 3, 3)
    found = image_transforms((1, 3, 3))
    expected = {
        "shift right": [[0, 0, 1], [3, 3, 4], [6, 6, 7]],
        "shift down": [[0, 1, 2], [0, 1, 2], [3, 4, 5]],
        "flip left-right": [[2, 1, 0], [5, 4, 3], [8, 7, 6]],
        "flip upside down": [[6, 7, 8], [3, 4, 5], [0, 1, 2]],
        "rotate 90°": [[2, 5, 8], [1, 4, 7], [0, 3, 6]],
    }
    for name, image in expected.items():
        changed = found[name](torch.tensor(batch))
        assert np.array_equal(changed[0, 0], image) and changed.shape == batch.shape and changed.dtype == batch.dtype
        assert np.array_equal(changed[1, 0], np.array(image) + 9)
    assert set(found) == {*expected, "noise"}


def test_noise_is_a_tenth_of_the_spread_and_the_same_each_time():
    batch = np.random.default_rng(0).normal(size=(400, 8, 8)).astype(np.float32)
    add = image_transforms((8, 8))["noise"]
    drawn = add(batch) - batch
    assert np.array_equal(add(batch), add(batch)) and add(batch).dtype == np.float32
    assert drawn.std() == pytest.approx(0.1 * batch.std(), rel=0.02)
    with pytest.raises(NetgeomError, match="whole numbers"):
        add(np.zeros((2, 8, 8), dtype=np.uint8))


def test_only_images_are_taken():
    assert "rotate 90°" not in image_transforms((3, 4, 5))
    for shape in ((4,), (2, 5, 5), (1, 1, 5), (1, 2, 3, 4)):
        with pytest.raises(NetgeomError, match="no images"):
            image_transforms(shape)
