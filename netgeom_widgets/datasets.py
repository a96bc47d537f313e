"""Small real and made data for trying the analyses: numpy in and out, seeded, from scikit-learn, without a network.

Inputs are shaped as a network takes them, one sample a row and images as (channel, height, width) in [0, 1]. Only
`mnist` and `cifar10` are fetched from the network, when they are called, and never replaced by anything else.
"""

from __future__ import annotations

import http.client
import importlib.util
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError

SAMPLE_IMAGES = ("china", "flower")


def digits() -> tuple[Float64[ndarray, "1797 1 8 8"], Int64[ndarray, " 1797"]]:
    """The handwritten digits that come with scikit-learn (UCI optdigits): images in [0, 1], and the digit of each."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images[:, None] / 16.0, found.target.astype(np.int64)


def iris() -> tuple[Float64[ndarray, "150 4"], Int64[ndarray, " 150"]]:
    """Fisher's irises: lengths and widths of sepal and petal in cm, not scaled, and the species 0 to 2 of each."""
    from sklearn.datasets import load_iris

    found = load_iris()
    return found.data.astype(np.float64), found.target.astype(np.int64)


def moons(
    n: int = 400, *, noise: float = 0.1, seed: int | np.random.Generator = 0
) -> tuple[Float64[ndarray, "n 2"], Int64[ndarray, " n"]]:
    """Two interleaving half circles of radius 1, a class each.

    Parameters
    ----------
    n : int
        Samples in all.
    noise : float
        Standard deviation of the Gaussian noise added to both coordinates.
    seed : int or numpy Generator
        An int gives what `sklearn.datasets.make_moons` gives with it as ``random_state``.
    """
    from sklearn.datasets import make_moons

    _check_count("n", n)
    X, y = make_moons(n, noise=noise, random_state=_random_state(seed))
    return X, y.astype(np.int64)


def circles(
    n: int = 400, *, noise: float = 0.05, factor: float = 0.5, seed: int | np.random.Generator = 0
) -> tuple[Float64[ndarray, "n 2"], Int64[ndarray, " n"]]:
    """Two concentric circles, the outer one of radius 1 (class 0), the inner one of radius ``factor`` (class 1).

    Parameters
    ----------
    n, noise, seed
        As in `moons`, after `sklearn.datasets.make_circles`.
    factor : float
        In [0, 1).
    """
    from sklearn.datasets import make_circles

    _check_count("n", n)
    X, y = make_circles(n, noise=noise, factor=factor, random_state=_random_state(seed))
    return X, y.astype(np.int64)


def blobs(
    n: int = 400,
    *,
    centers: int | Float[ndarray, "K D"] = 2,
    features: int = 2,
    spread: float = 1.0,
    seed: int | np.random.Generator = 0,
) -> tuple[Float64[ndarray, "n D"], Int64[ndarray, " n"]]:
    """Gaussian clouds, a class each, of nearly equal size.

    Parameters
    ----------
    n, seed
        As in `moons`, after `sklearn.datasets.make_blobs`.
    centers : int or array (K, D)
        The centres; a number draws so many uniformly in [-10, 10]^features.
    features : int
        Dimension D where ``centers`` is a number.
    spread : float
        Standard deviation in every direction.
    """
    from sklearn.datasets import make_blobs

    _check_count("n", n)
    X, y = make_blobs(n, features, centers=centers, cluster_std=spread, random_state=_random_state(seed))
    return X, y.astype(np.int64)


def gaussian(
    n: int, shape: int | Sequence[int], *, scale: float = 1.0, seed: int | np.random.Generator = 0
) -> Float64[ndarray, "n ..."]:
    """(n, *shape) independent normal inputs of mean 0 and standard deviation ``scale``; they have no labels."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    for size in (n, *shape):
        _check_count("n and every entry of shape", size)
    return np.random.default_rng(seed).normal(scale=scale, size=(n, *shape))


def sample_image(name: str = "china") -> Float64[ndarray, "3 427 640"]:
    """One of the two photographs that come with scikit-learn, "china" or "flower", in [0, 1]."""
    from sklearn.datasets import load_sample_image

    if name not in SAMPLE_IMAGES:
        raise NetgeomError(
            "There is no such sample image.", expected=" or ".join(map(repr, SAMPLE_IMAGES)), got=f"{name!r}"
        )
    return np.ascontiguousarray(load_sample_image(f"{name}.jpg").transpose(2, 0, 1)) / 255.0


def patches(
    n: int = 400, *, size: int = 8, image: str = "china", seed: int | np.random.Generator = 0
) -> Float64[ndarray, "n 3 size size"]:
    """Square patches of a sample image at uniformly random places, in [0, 1]; they may overlap and have no labels.

    Parameters
    ----------
    n : int
        How many.
    size : int
        Side in pixels, at most 427.
    image : str
        See `sample_image`.
    seed : int or numpy Generator
        Chooses the places.
    """
    whole = sample_image(image)
    _check_count("n", n)
    if not 1 <= size <= min(whole.shape[1:]):
        raise NetgeomError("No patch of this size fits.", expected=f"1 to {min(whole.shape[1:])}", got=f"{size}")
    generator = np.random.default_rng(seed)
    tops, lefts = (generator.integers(side - size + 1, size=n) for side in whole.shape[1:])
    return np.stack([whole[:, top : top + size, left : left + size] for top, left in zip(tops, lefts, strict=True)])


def mnist(*, data_home: str | None = None) -> tuple[Float32[ndarray, "70000 1 28 28"], Int64[ndarray, " 70000"]]:
    """MNIST from openml.org (data set 554), fetched when called: images in [0, 1] as float32, and digits.

    Parameters
    ----------
    data_home : str, optional
        Folder in which scikit-learn keeps what it fetched; its own by default. A second call reads it from there.

    Raises
    ------
    NetgeomError
        It cannot be fetched, or is not what was expected. There is no stand-in.

    Notes
    -----
    The order is that of OpenML. 15 MB over the network; the file is text, so reading takes about a minute, and several
    GB where pandas is not installed.
    """
    return _fetched(
        "MNIST", 554, (1, 28, 28), data_home, "datasets.digits(): 8 x 8 images of digits, without a network"
    )


def cifar10(*, data_home: str | None = None) -> tuple[Float32[ndarray, "60000 3 32 32"], Int64[ndarray, " 60000"]]:
    """CIFAR-10 from openml.org (data set 40927), fetched when called: images in [0, 1] as float32, classes 0 to 9.

    Parameters, errors and cost as in `mnist`, with some 650 MB over the network.
    """
    return _fetched(
        "CIFAR-10",
        40927,
        (3, 32, 32),
        data_home,
        "datasets.patches(size=32): colour patches, without a network or labels",
    )


def _fetched(
    name: str, data_id: int, shape: tuple[int, ...], data_home: str | None, instead: str
) -> tuple[Float32[ndarray, "n c h w"], Int64[ndarray, " n"]]:
    from sklearn.datasets import fetch_openml

    # Without pandas, which is no dependency of ours, scikit-learn has a slower reader.
    parser = "auto" if importlib.util.find_spec("pandas") else "liac-arff"
    try:
        found = fetch_openml(data_id=data_id, as_frame=False, parser=parser, data_home=data_home)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NetgeomError(
            f"{name} could not be fetched from openml.org ({type(error).__name__}: {error})",
            expected="a connection to openml.org, or a data_home into which it was fetched before",
            try_this=instead,
        ) from error
    pixels, labels = np.asarray(found.data), np.asarray(found.target)
    if pixels.ndim != 2 or pixels.shape[1] != math.prod(shape) or len(pixels) != len(labels):
        raise NetgeomError(
            f"What openml.org sent is not {name}.",
            expected=f"rows of {math.prod(shape)} pixels with a label each",
            got=f"{pixels.shape} and {labels.shape}",
            try_this=instead,
        )
    images = pixels.astype(np.float32).reshape(len(pixels), *shape) / np.float32(255)
    return images, labels.astype(np.int64)


def _random_state(seed: int | np.random.Generator) -> Any:
    """What scikit-learn takes: an int as it is, of a Generator the next draw."""
    return int(seed.integers(2**32)) if isinstance(seed, np.random.Generator) else seed


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise NetgeomError(f"{name} must be a positive whole number.", got=f"{value!r}")
