"""netgeom_widgets.figures.palettes: colours told apart, and exact look-up."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.models import LinearColorMapper
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.palettes import (
    MISSING,
    OKABE_ITO,
    categorical,
    diverging,
    map_rgba,
    map_values,
    sequential,
    to_hex,
    to_rgba,
)
from netgeom_widgets.figures.static.colours import map_colours

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB
DEFICIENCIES = {
    "normal": [1, 0, 0, 0, 1, 0, 0, 0, 1],
    "protan": [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
    "deutan": [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881],
    "tritan": [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900],
}


def lab(colours, kind="normal"):
    """CIE Lab of hex colours as one kind of eye sees them."""
    rgb = to_rgba(colours)[:, :3] / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.reshape(DEFICIENCIES[kind], (3, 3)).T, 0, 1)
    xyz = linear @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    xyz = xyz / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def least_distance(colours, kind):
    points = lab(colours, kind)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    return apart[~np.eye(len(points), dtype=bool)].min()


@pytest.mark.parametrize("kind", DEFICIENCIES)
def test_categories_are_told_apart_by_every_eye(kind):
    assert least_distance(categorical(8), kind) > 8


def test_categories_beyond_eight_stay_distinct():
    assert categorical(8) == tuple(colour.lower() for colour in OKABE_ITO)
    assert len(set(categorical(24))) == 24 and least_distance(categorical(24), "normal") > 6
    assert categorical(30)[24:] == categorical(6)


@pytest.mark.parametrize("kind", DEFICIENCIES)
@pytest.mark.parametrize("name", ["viridis", "cividis"])
def test_sequential_palettes_rise_in_lightness(name, kind):
    lightness = lab(sequential(name, 32), kind)[:, 0]
    assert (np.diff(lightness) > -0.5).all() and lightness[-1] - lightness[0] > 50


@pytest.mark.parametrize("kind", DEFICIENCIES)
def test_the_diverging_palette_has_two_sides_and_a_light_middle(kind):
    colours = diverging(65)
    lightness = lab(colours, kind)[:, 0]
    assert (np.diff(lightness[:33]) > 0).all() and (np.diff(lightness[32:]) < 0).all()
    sides = lab([colours[16], colours[48]], kind)
    assert np.linalg.norm(sides[0] - sides[1]) > 20
    assert colours[32] == "#f7f7f7" and diverging(1) == ("#f7f7f7",)


def test_values_ends_nan_and_infinities():
    palette = ["#000000", "#808080", "#ffffff"]
    values = [0, 0.34, 0.5, 1, -5, 7, np.nan, np.inf, -np.inf]
    found = map_values(values, palette, 0, 1)
    black, grey, white = palette
    assert found == [black, grey, grey, white, black, white, MISSING, white, black]
    assert map_values([2.0, 2.0], palette) == [grey, grey]
    assert map_values([np.nan], palette, nan="#123456") == ["#123456"]
    assert map_values([], palette) == []
    assert map_rgba(np.zeros((2, 3)), palette, 0, 1).shape == (2, 3, 4)


@given(st.lists(st.floats(-3, 3) | st.just(float("nan")), min_size=1), st.integers(1, 300))
def test_the_same_colour_as_bokehs_mapper(values, n):
    palette = [f"#{k:02x}{255 - k % 256:02x}00" for k in range(min(n, 256))]
    mapper = LinearColorMapper(palette=palette, low=-1, high=2, nan_color=MISSING)
    bokeh = np.rint(map_colours(mapper, values) * 255)
    ours = map_rgba(values, palette, -1, 2)
    steps = (np.nan_to_num(np.array(values), nan=0.5) + 1) / 3 * len(palette)
    clear = abs(steps - np.rint(steps)) > 1e-9  # rounding may put a value on the other side of a step's edge
    assert (bokeh[clear] == ours[clear]).all()


def test_tables_round_trip_and_large_inputs():
    table = to_rgba(["#01020304", "#ff00ff"])
    assert table.tolist() == [[1, 2, 3, 4], [255, 0, 255, 255]] and to_hex(table) == ["#01020304", "#ff00ff"]
    many = map_values(np.linspace(0, 1, 1_000_000), sequential("viridis"))
    assert len(many) == 1_000_000 and many[0] == sequential("viridis")[0] and many[-1] == sequential("viridis")[-1]
    assert map_rgba([-1.7e308, 1.7e308], ["#000000", "#ffffff"])[:, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    "call",
    [
        lambda: categorical(0),
        lambda: diverging(True),
        lambda: sequential("jet"),
        lambda: map_values([1.0], []),
        lambda: map_rgba([1.0], ["red"]),
        lambda: map_values([1.0], ["#000000"], 2, 1),
        lambda: map_rgba([1.0], ["#000000"], float("nan"), 1),
    ],
)
def test_bad_requests_are_refused(call):
    with pytest.raises(NetgeomError):
        call()
