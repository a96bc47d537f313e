"""Null directions, exact orbits and discrete images of a point: what of its class is laid over a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.errors import NetgeomError, TooLargeError

if TYPE_CHECKING:
    from netgeom_widgets.widgets.equivalence_picture import Picture

#: Null directions that are followed: more curves cannot be told apart.
MOST_TRACED = 4
#: Factors by which an orbit scales a unit.
ORBIT = np.geomspace(1 / 16, 16, 121)
#: Units whose orbits are shown, and images under the discrete symmetries.
MOST_ORBITS, MOST_IMAGES = 12, 200
#: Of a unit vector less than this in the null space is none.
_TOO_SMALL = 1e-6
Points = tuple[str, np.ndarray]


def along_axes(picture: Picture, space: Any) -> list[Points]:
    """The part of each axis in the null space, at length one, where there is one."""
    rows = picture.basis / np.linalg.norm(picture.basis, axis=1, keepdims=True)
    parts = np.asarray(space.project(rows))
    sizes = np.linalg.norm(parts, axis=1)
    return [
        (f"axis c{at + 1}", part / size)
        for at, (part, size) in enumerate(zip(parts, sizes, strict=True))
        if size > _TOO_SMALL
    ]


def null_directions(space: Any) -> list[Points]:
    """The first few null directions; random ones where no others can be had."""
    k = min(MOST_TRACED, space.bounds[1])
    rows = [] if not k else space.sample(k) if space.estimated else space.directions(k)
    return [(f"null direction {at}", row) for at, row in enumerate(rows)]


def orbits_of(picture: Picture, start: np.ndarray) -> tuple[tuple[Points, ...], tuple[str, ...]]:
    """The orbit of each hidden unit that may be scaled, and what to know of them."""
    from netgeom_widgets.kernels.equivalence import symmetry_orbit

    mlp = picture.problem.network.mlp
    hidden = [] if mlp is None else mlp.layers[:-1]
    units = [
        (at, unit) for at, layer in enumerate(hidden) if layer.activation.homogeneous for unit in range(layer.n_out)
    ]
    orbits, notes = [], []
    for layer, unit in units[:MOST_ORBITS]:
        try:
            orbits.append(
                (f"unit {unit} of layer {layer}", symmetry_orbit(picture.model, start, unit, ORBIT, layer=layer))
            )
        except NetgeomError as error:
            notes.append(str(error))
    if not units:
        notes.append(
            "No hidden unit can be scaled: that takes layers in a chain, and ReLU or another homogeneous function."
        )
    if len(units) > MOST_ORBITS:
        notes.append(f"Orbits of the first {MOST_ORBITS} of {len(units):,} units.")
    return tuple(orbits), tuple(notes)


def images_of(picture: Picture, start: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Images under the discrete symmetries, and what to know of them."""
    from netgeom_widgets.kernels.equivalence import discrete_images

    try:
        return np.asarray(discrete_images(picture.model, start, limit=MOST_IMAGES)), ()
    except TooLargeError:
        drawn = discrete_images(picture.model, start, n=MOST_IMAGES)
        return np.asarray(drawn), (f"{MOST_IMAGES} images, drawn at random: there are too many to show all.",)
    except NetgeomError as error:
        return np.empty((0, len(start))), (f"There are no discrete images: {error}",)
