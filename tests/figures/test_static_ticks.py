"""netgeom_widgets.figures.static.ticks: the ticks and labels that BokehJS 3.9.2 gave in Chromium for these ranges."""

from __future__ import annotations

import pytest
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    FixedTicker,
    LogTicker,
    LogTickFormatter,
    NumeralTickFormatter,
    PrintfTickFormatter,
)

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.static.ticks import tick_labels, tick_positions


def labels(formatter, ticks, overrides=None):
    return [text for text, _ in tick_labels(formatter, None, ticks, overrides)]


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (-1.2, 1.2, [-1, -0.5, 0, 0.5, 1]),
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (-5.5, 11, [-4, -2, 0, 2, 4, 6, 8, 10]),
        (3, 3.0001, [3, 3.00002, 3.00004, 3.00006, 3.00008, 3.0001]),
        (-1e7, 2e7, [-1e7, -5e6, 0, 5e6, 1e7, 1.5e7, 2e7]),
    ],
)
def test_linear_ticks(low, high, wanted):
    assert tick_positions(BasicTicker(), low, high)[0] == pytest.approx(wanted)


def test_log_ticks():
    major, minor = tick_positions(LogTicker(), 0.5, 2000)
    assert major == pytest.approx([1, 10, 100, 1000]) and min(minor) >= 0.5
    assert tick_positions(LogTicker(), 1, 5)[0] == pytest.approx([1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5])
    assert tick_positions(LogTicker(), 0.01, 0.5)[0] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    wide = tick_positions(LogTicker(), 1e-30, 1e30)[0]
    assert wide == pytest.approx([1e-30, 1e-23, 1e-16, 1e-9, 1e-2, 1e5, 1e12, 1e19, 1e26])


def test_fixed_ticks_outside_are_left_out():
    assert tick_positions(FixedTicker(ticks=[-1, 0, 5, 11]), 0, 10)[0] == [0, 5]


def test_basic_labels():
    assert labels(BasicTickFormatter(), [-0.5, 0.0, 0.5]) == ["−0.5", "0", "0.5"]
    assert labels(BasicTickFormatter(), [100000.0, 200000.0])[0] == "1.000e+5"
    assert labels(BasicTickFormatter(), [3.00002, 3.00004]) == ["3.00002", "3.00004"]
    assert labels(BasicTickFormatter(), [-1e7, 0.0, 1.5e7]) == ["−1.000e+7", "0.000e+0", "1.500e+7"]


def test_log_labels_are_powers():
    found = tick_labels(LogTickFormatter(), LogTicker(), [1.0, 10.0, 100.0])
    assert [math for _, math in found] == [True] * 3 and "10^{2}" in found[2][0]


def test_other_labels():
    assert labels(NumeralTickFormatter(format="0,0.0"), [1234.56]) == ["1,234.6"]
    assert labels(NumeralTickFormatter(format="0%"), [0.25]) == ["25%"]
    assert labels(PrintfTickFormatter(format="%.2f s"), [1.5]) == ["1.50 s"]
    assert labels(BasicTickFormatter(), [0.0, 1.0], {1: "one $"}) == ["0", "one $"]
    with pytest.raises(NetgeomError, match="NumeralTickFormatter"):
        labels(NumeralTickFormatter(format="0.0a"), [1.0])
