"""Changes of images that a network may or may not be indifferent to, for `invariance`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError

Transform = Callable[[Any], Any]

#: Standard deviation of the noise, as a share of that of all pixels.
NOISE = 0.1


def image_transforms(shape: Sequence[int], *, noise: float = NOISE, seed: int = 0) -> dict[str, Transform]:
    """Functions of a batch of images, by name.

    Parameters
    ----------
    shape : tuple of int
        Of one input: (H, W) or (channels, H, W); rows run down, columns to the right.
    noise : float
        Standard deviation of the noise as a share of the standard deviation of all pixels of the batch.
    seed : int
        Of the noise: the same each time.

    Returns
    -------
    dict of str to callable
        "shift right" and "shift down" by one pixel (the border is repeated), "flip left-right", "flip upside down",
        "rotate 90°" (counter-clockwise; square images only), "noise" (normal). Each takes an array or a tensor
        (n, *shape) and gives a numpy array of the same shape and dtype; noise refuses whole numbers.

    Raises
    ------
    NetgeomError
        Inputs that are no images.
    """
    if len(shape) not in (2, 3) or min(shape, default=0) < 1 or not is_image(shape):
        raise NetgeomError("These inputs are no images", expected="(H, W) or (channels, H, W)", got=f"{tuple(shape)}")
    found: dict[str, Transform] = {
        "shift right": lambda batch: _shifted(batch, -1),
        "shift down": lambda batch: _shifted(batch, -2),
        "flip left-right": lambda batch: np.ascontiguousarray(np.flip(_array(batch), -1)),
        "flip upside down": lambda batch: np.ascontiguousarray(np.flip(_array(batch), -2)),
    }
    if shape[-1] == shape[-2]:
        found["rotate 90°"] = lambda batch: np.ascontiguousarray(np.rot90(_array(batch), axes=(-2, -1)))
    found["noise"] = lambda batch: _noisy(_array(batch), noise, seed)
    return found


def is_image(shape: Sequence[int]) -> bool:
    """Whether an input of this shape can be an image: one, three or four channels, sides of 2 pixels or more."""
    return len(shape) in (2, 3) and min(shape[-2:]) > 1 and (len(shape) == 2 or shape[0] in (1, 3, 4))


def _array(batch: Any) -> ndarray:
    return np.asarray(batch.detach().cpu() if hasattr(batch, "detach") else batch)


def _shifted(batch: Any, axis: int) -> ndarray:
    array = _array(batch)
    return np.take(array, np.maximum(np.arange(array.shape[axis]) - 1, 0), axis=axis)


def _noisy(array: ndarray, share: float, seed: int) -> ndarray:
    if array.dtype.kind != "f":
        raise NetgeomError("Noise needs inputs that are not whole numbers", expected="floats", got=str(array.dtype))
    drawn = np.random.default_rng(seed).standard_normal(array.shape)
    return (array + share * array.std() * drawn).astype(array.dtype)
