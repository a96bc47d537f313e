"""Tick positions and labels, as BokehJS chooses them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from bokeh.models import (
    AdaptiveTicker,
    BasicTicker,
    BasicTickFormatter,
    CategoricalTickFormatter,
    FixedTicker,
    LogTicker,
    LogTickFormatter,
    NumeralTickFormatter,
    PrintfTickFormatter,
    SingleIntervalTicker,
)

from netgeom_widgets.figures.static.colours import unknown


def tick_positions(ticker: Any, low: float, high: float) -> tuple[list[float], list[float]]:
    """Major and minor ticks between `low` and `high`."""
    if isinstance(ticker, FixedTicker):
        return (
            [tick for tick in map(float, ticker.ticks) if low <= tick <= high],
            [tick for tick in map(float, ticker.minor_ticks) if low <= tick <= high],
        )
    if isinstance(ticker, LogTicker):
        return _log_ticks(ticker, low, high)
    if isinstance(ticker, SingleIntervalTicker):
        interval = ticker.interval
    elif type(ticker) in (BasicTicker, AdaptiveTicker):
        interval = _interval(ticker, low, high)
    else:
        raise unknown("ticker", ticker)
    return _linear_ticks(interval, ticker.num_minor_ticks, low, high)


def _interval(ticker: Any, low: float, high: float) -> float:
    """The step with a nice mantissa that comes nearest to the wished number of ticks."""
    wish, base = ticker.desired_num_ticks, ticker.base
    mantissas = [ticker.mantissas[-1] / base, *ticker.mantissas, ticker.mantissas[0] * base]
    factor = ticker.min_interval or 1.0
    magnitude = base ** math.floor(math.log((high - low) / wish / factor, base)) * factor
    best = min(mantissas, key=lambda mantissa: abs(wish - (high - low) / (mantissa * magnitude)))
    return min(max(best * magnitude, ticker.min_interval or 0), ticker.max_interval or math.inf)


def _linear_ticks(interval: float, minor: int, low: float, high: float) -> tuple[list[float], list[float]]:
    slack = 1e-9 * (high - low)
    factors = range(math.floor(low / interval), math.ceil(high / interval) + 1)
    major = [factor * interval for factor in factors if low - slack <= factor * interval <= high + slack]
    if not minor:
        return major, []
    steps = (step * interval / minor for step in range(factors[0] * minor, factors[-1] * minor + 1) if step % minor)
    return major, [step for step in steps if low <= step <= high]


def _log_ticks(ticker: Any, low: float, high: float) -> tuple[list[float], list[float]]:
    base, minor = ticker.base, ticker.num_minor_ticks
    first, last = math.log(low, base), math.log(high, base)
    if last - first < 2:
        return _linear_ticks(_interval(ticker, low, high), minor, low, high)
    powers = range(math.ceil(first - 1e-6), math.floor(last + 1e-6) + 1)
    step = math.ceil((powers[-1] - powers[0]) / 9)
    major = [float(base) ** power for power in powers[::step]]
    small: list[float] = []
    if step == 1 and minor:
        small = [
            base**power * base * at / minor for power in range(powers[0] - 1, powers[-1] + 1) for at in range(1, minor)
        ]
    return major, [tick for tick in small if low <= tick <= high and tick not in major]


def tick_labels(formatter: Any, ticker: Any, ticks: Sequence[float], overrides: Any = None) -> list[tuple[str, bool]]:
    """(label, is mathematics) per tick. Only powers written here are mathematics; all else is literal text."""
    if not len(ticks):
        return []
    labels = [(text, False) for text in _format(formatter, ticks)]
    if isinstance(formatter, LogTickFormatter):
        labels = _powers(formatter, getattr(ticker, "base", 10), ticks)
    if overrides:
        wanted = {key: str(getattr(value, "text", value)) for key, value in overrides.items()}
        labels = [(wanted[tick], False) if tick in wanted else label for tick, label in zip(ticks, labels, strict=True)]
    return labels


def _format(formatter: Any, ticks: Sequence[float]) -> list[str]:
    if isinstance(formatter, CategoricalTickFormatter):
        return [str(tick) for tick in ticks]
    if type(formatter) in (BasicTickFormatter, LogTickFormatter):
        return _basic(formatter if isinstance(formatter, BasicTickFormatter) else BasicTickFormatter(), ticks)
    if isinstance(formatter, PrintfTickFormatter):
        return [formatter.format % tick for tick in ticks]
    if isinstance(formatter, NumeralTickFormatter):
        return [_numeral(formatter, tick) for tick in ticks]
    raise unknown("tick formatter", formatter)


def _basic(formatter: BasicTickFormatter, ticks: Sequence[float]) -> list[str]:
    zero = abs(ticks[1] - ticks[0]) / 10000 if len(ticks) > 1 else 0
    high, low = 10.0**formatter.power_limit_high, 10.0**formatter.power_limit_low
    scientific = formatter.use_scientific and any(abs(t) > zero and (abs(t) >= high or abs(t) <= low) for t in ticks)

    def write(precision: int) -> list[str]:
        return [_exponential(tick, precision) if scientific else _fixed(tick, precision) for tick in ticks]

    if formatter.precision != "auto":
        return [label.replace("-", "−") for label in write(formatter.precision)]
    for precision in range(3, 16):
        labels = write(precision)
        if all(a != b for a, b in pairwise(labels)):
            break
    return [label.replace("-", "−") for label in labels]


def _fixed(value: float, precision: int) -> str:
    text = f"{value:.{precision}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _exponential(value: float, precision: int) -> str:
    mantissa, exponent = f"{value:.{precision}e}".split("e")
    return f"{mantissa}e{int(exponent):+d}"


def _numeral(formatter: NumeralTickFormatter, value: float) -> str:
    """The numeral.js formats of digits, thousands and percent; others are refused."""
    pattern = formatter.format
    percent = pattern.endswith("%")
    core = pattern.removesuffix("%").strip()
    digits = core.partition(".")[2]
    if set(core) - set("0,.") or set(digits) - {"0"}:
        raise unknown(f"number format {pattern!r} of", formatter)
    number = value * 100 if percent else value
    separator = "," if "," in core else ""
    return f"{number:{separator}.{len(digits)}f}".replace("-", "−") + ("%" if percent else "")


def _powers(formatter: LogTickFormatter, base: float, ticks: Sequence[float]) -> list[tuple[str, bool]]:
    exponents = [round(math.log(tick, base)) if tick > 0 else 0 for tick in ticks]
    if any(a == b for a, b in pairwise(exponents)) or not np.allclose(ticks, [float(base) ** one for one in exponents]):
        return [(text, False) for text in _format(BasicTickFormatter(), ticks)]
    least = getattr(formatter, "min_exponent", 0)
    return [
        (_fixed(base**one, 12), False) if abs(one) < least else (rf"$\mathregular{{{base:g}^{{{one}}}}}$", True)
        for one in exponents
    ]
