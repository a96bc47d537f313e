"""Data sets: shapes, ranges, seeds; what is fetched is fetched on call only, and never replaced."""

from __future__ import annotations

import urllib.error
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets

from netgeom_widgets import datasets
from netgeom_widgets.errors import NetgeomError


@pytest.mark.parametrize(
    ("name", "shape", "classes"), [("digits", (1797, 1, 8, 8), 10), ("iris", (150, 4), 3), ("moons", (400, 2), 2)]
)
def test_inputs_and_labels(name: str, shape: tuple[int, ...], classes: int) -> None:
    X, y = getattr(datasets, name)()
    assert X.shape == shape and X.dtype == np.float64 and y.dtype == np.int64
    assert np.unique(y).tolist() == list(range(classes)) and len(y) == len(X)


def test_digits_are_those_of_scikit_learn_in_the_unit_interval() -> None:
    X, y = datasets.digits()
    np.testing.assert_array_equal(X[:, 0] * 16, sklearn.datasets.load_digits().images)
    assert X.min() == 0 and X.max() == 1
    assert y[:10].tolist() == list(range(10))


def test_a_seed_is_scikit_learns_random_state_and_a_generator_moves_on() -> None:
    X, y = datasets.moons(50, noise=0.2, seed=3)
    expected, labels = sklearn.datasets.make_moons(50, noise=0.2, random_state=3)
    assert np.array_equal(X, expected) and np.array_equal(y, labels)
    for make in (datasets.moons, datasets.circles, datasets.blobs):
        generator = np.random.default_rng(0)
        first, second, again = make(20, seed=generator), make(20, seed=generator), make(20, seed=5)
        assert not np.array_equal(first[0], second[0])
        np.testing.assert_array_equal(again[0], make(20, seed=5)[0])


def test_circles_and_blobs_lie_where_they_are_said_to_lie() -> None:
    X, y = datasets.circles(100, noise=0.0, factor=0.25)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), np.where(y == 0, 1.0, 0.25))
    centers = np.array([[0.0, 5.0, 0.0], [9.0, 0.0, 0.0]])
    X, y = datasets.blobs(60, centers=centers, spread=1e-9)
    np.testing.assert_allclose(X, centers[y], atol=1e-7)
    assert datasets.blobs(30, centers=4, features=7)[0].shape == (30, 7)


def test_gaussian_inputs_of_any_shape() -> None:
    X = datasets.gaussian(500, (3, 8, 8), scale=2.0, seed=1)
    assert X.shape == (500, 3, 8, 8) and abs(X.std() - 2) < 0.02 and abs(X.mean()) < 0.02
    np.testing.assert_array_equal(X, datasets.gaussian(500, (3, 8, 8), scale=2.0, seed=1))
    assert datasets.gaussian(5, 4).shape == (5, 4)


def test_patches_are_cut_from_the_image() -> None:
    image = datasets.sample_image("flower")
    assert image.shape == (3, 427, 640) and image.min() >= 0 and image.max() <= 1
    np.testing.assert_allclose(image[:, 5, 7] * 255, sklearn.datasets.load_sample_image("flower.jpg")[5, 7])
    cut = datasets.patches(6, size=16, image="flower", seed=2)
    assert cut.shape == (6, 3, 16, 16)
    windows = np.lib.stride_tricks.sliding_window_view(image, (16, 16), axis=(1, 2))
    assert all((windows == patch[:, None, None]).all(axis=(0, 3, 4)).any() for patch in cut[:2])
    assert np.array_equal(datasets.patches(2, size=427, seed=0)[0].shape, (3, 427, 427))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: datasets.moons(0), "n must be a positive whole number"),
        (lambda: datasets.gaussian(3, (2, -1)), "every entry of shape"),
        (lambda: datasets.sample_image("lena"), "'china' or 'flower'"),
        (lambda: datasets.patches(3, size=500), "1 to 427"),
    ],
)
def test_what_does_not_make_sense_is_refused(call, match: str) -> None:
    with pytest.raises(NetgeomError, match=match):
        call()


@pytest.mark.parametrize(("name", "data_id", "shape"), [("mnist", 554, (1, 28, 28)), ("cifar10", 40927, (3, 32, 32))])
class TestFetched:
    def answer(self, monkeypatch: pytest.MonkeyPatch, answer) -> list[dict]:
        asked = []

        def fetch(**options):
            asked.append(options)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
        return asked

    def test_images_and_labels(self, name, data_id, shape, monkeypatch) -> None:
        pixels = np.arange(2 * np.prod(shape)).reshape(2, -1) % 256
        asked = self.answer(monkeypatch, SimpleNamespace(data=pixels, target=np.array(["7", "2"], dtype=object)))
        X, y = getattr(datasets, name)(data_home="here")
        assert asked[0]["data_id"] == data_id and asked[0]["data_home"] == "here"
        assert X.shape == (2, *shape) and X.dtype == np.float32 and y.tolist() == [7, 2]
        np.testing.assert_allclose(X.reshape(2, -1) * 255, pixels, rtol=1e-6)

    @pytest.mark.parametrize("error", [urllib.error.URLError("no route to host"), ValueError("md5 checksum")])
    def test_offline_it_says_what_to_use_and_uses_nothing_else(self, name, data_id, shape, error, monkeypatch) -> None:
        self.answer(monkeypatch, error)
        with pytest.raises(NetgeomError, match=r"could not be fetched.*Try: datasets\."):
            getattr(datasets, name)()

    def test_something_else_is_refused(self, name, data_id, shape, monkeypatch) -> None:
        self.answer(monkeypatch, SimpleNamespace(data=np.zeros((2, 5)), target=np.zeros(2)))
        with pytest.raises(NetgeomError, match="is not"):
            getattr(datasets, name)()
