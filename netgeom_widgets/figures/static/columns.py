"""Glyph properties resolved against their data source: one value or one per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.core.property.vectorization import Expr, Field, Unspecified, Value
from bokeh.models import (
    AllIndices,
    BooleanFilter,
    ColorMapper,
    CumSum,
    DifferenceFilter,
    Dodge,
    GroupFilter,
    IndexFilter,
    IntersectionFilter,
    InversionFilter,
    Stack,
    SymmetricDifferenceFilter,
    UnionFilter,
)
from jaxtyping import Bool, Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.static.colours import map_colours, rgba, rgba_column, unknown

_DATA_UNITS = ("data", "rad")


def row_count(source: Any) -> int:
    """Rows of a data source: its longest column; one without any column, for glyphs given by values alone."""
    return max((len(column) for column in source.data.values()), default=1)


def view_mask(filter_: Any, source: Any, n: int) -> Bool[np.ndarray, " N"]:
    """Which rows of `source` a CDSView filter lets through."""
    if isinstance(filter_, AllIndices):
        return np.ones(n, bool)
    if isinstance(filter_, IndexFilter):
        mask = np.zeros(n, bool)
        mask[np.asarray(filter_.indices or [], dtype=np.intp)] = True
        return mask if filter_.indices is not None else np.ones(n, bool)
    if isinstance(filter_, BooleanFilter):
        if filter_.booleans is None:
            return np.ones(n, bool)
        mask = np.zeros(n, bool)
        given = np.asarray(list(filter_.booleans), dtype=bool)[:n]
        mask[: len(given)] = given
        return mask
    if isinstance(filter_, GroupFilter):
        return np.array([value == filter_.group for value in source.data[filter_.column_name]], dtype=bool)
    if isinstance(filter_, InversionFilter):
        return ~view_mask(filter_.operand, source, n)
    combine = {
        UnionFilter: np.logical_or,
        IntersectionFilter: np.logical_and,
        SymmetricDifferenceFilter: np.logical_xor,
        DifferenceFilter: lambda a, b: a & ~b,
    }.get(type(filter_))
    if combine is None:
        raise unknown("filter", filter_)
    masks = [view_mask(operand, source, n) for operand in filter_.operands]
    out = masks[0] if masks else np.ones(n, bool)
    for mask in masks[1:]:
        out = combine(out, mask)
    return out


class Rows:
    """One model's properties over chosen rows of its data source.

    Parameters
    ----------
    model : a Bokeh glyph or data annotation
    source : ColumnDataSource or None
        None: every property is one value and there is one row.
    index : int array, optional
        Rows to keep, in drawing order; all by default.
    overrides : mapping, optional
        Property values that win over the model's.
    """

    def __init__(
        self,
        model: Any,
        source: Any = None,
        index: Int[np.ndarray, " n"] | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self.model, self.source, self.overrides = model, source, dict(overrides or {})
        total = 1 if source is None else row_count(source)
        self.index = np.arange(total) if index is None else np.asarray(index, dtype=np.intp)
        self._whole = np.array_equal(self.index, np.arange(total))

    def __len__(self) -> int:
        return len(self.index)

    def only(self, keep: Any) -> Rows:
        """The same model over a subset of these rows."""
        return Rows(self.model, self.source, self.index[keep], self.overrides)

    def has(self, name: str) -> bool:
        """Whether the model has the property at all."""
        return name in self.overrides or name in self.model.properties()

    def in_pixels(self, name: str) -> bool:
        """Whether a property is given in pixels of the screen."""
        return getattr(self.model.lookup(name).get_value(self.model), "units", None) == "screen"

    def spec(self, name: str, units: Sequence[str] = _DATA_UNITS) -> tuple[bool, Any, Any]:
        """(is per row, value or whole column, transform) of a property, which must be in one of these units."""
        if name in self.overrides:
            return False, self.overrides[name], None
        raw = self.model.lookup(name).get_value(self.model)  # data specs come as Value, Field or Expr
        if not isinstance(raw, Value | Field | Expr):
            return False, raw, None
        if raw.units is not Unspecified and raw.units not in units:
            raise NetgeomError(f"The static renderer does not know this unit of {name}.", got=str(raw.units))
        transform = None if raw.transform is Unspecified else raw.transform
        if isinstance(raw, Value):
            return False, raw.value, transform
        if isinstance(raw, Expr):
            return True, _expression(raw.expr, self.source), transform
        if self.source is None or raw.field not in self.source.data:
            owner = f"{type(self.model).__name__}.{name}"
            raise NetgeomError(f"{owner} names a column that its data source lacks.", got=repr(raw.field))
        return True, self.source.data[raw.field], transform

    def _take(self, column: Any) -> Any:
        if self._whole:
            return column
        if isinstance(column, np.ndarray):
            return column[self.index]
        return [column[at] for at in self.index]

    def values(self, name: str) -> list[Any]:
        """The property as a list of raw Python values, one per row."""
        vector, value, transform = self.spec(name)
        if transform is not None:
            raise unknown("transform", transform)
        return list(self._take(value)) if vector else [value] * len(self)

    def raw(self, name: str, units: Sequence[str] = _DATA_UNITS) -> tuple[bool, Any, Any]:
        """(is per row, value or the chosen rows of its column, transform)."""
        vector, value, transform = self.spec(name, units)
        return vector, self._take(value) if vector else value, transform

    def numbers(self, name: str, units: Sequence[str] = _DATA_UNITS) -> Float[np.ndarray, " n"]:
        """The property as float64, one per row; missing values are NaN."""
        vector, value, transform = self.raw(name, units)
        column = as_numbers(value) if vector else np.full(len(self), np.nan if value is None else float(value))
        return column if transform is None else _shift(transform, column)

    def scalar(self, name: str) -> Any:
        """A property that must be one value for all rows."""
        vector, value, _ = self.spec(name)
        if not vector:
            return value
        taken = {repr(item): item for item in self._take(value)}
        if len(taken) > 1:
            raise NetgeomError(
                f"{type(self.model).__name__}.{name} differs between rows; the static renderer needs one."
            )
        return next(iter(taken.values()), None)

    def one_value(self, name: str) -> bool:
        """Whether the property is the same for all rows by construction."""
        return not self.spec(name)[0]

    def colours(self, kind: str) -> Float[np.ndarray, "rows 4"]:
        """RGBA of `kind` ("fill", "line", "text", ...) with its alpha; one row when all rows agree."""
        vector, value, mapper = self.spec(f"{kind}_color")
        if mapper is not None and not isinstance(mapper, ColorMapper):
            raise unknown("transform", mapper)
        if mapper is not None:
            column = value if vector else [value]
            colours = map_colours(mapper, column)  # the whole column: it sets automatic ends
            colours = colours[self.index] if vector else colours
        else:
            colours = rgba_column(self._take(value)) if vector else np.array([rgba(value)])
        alpha = f"{kind}_alpha"
        if self.has(alpha):
            if self.one_value(alpha):
                colours = colours * np.array([1, 1, 1, self._one_number(alpha)])
            else:
                colours = np.repeat(colours, len(self), axis=0) if len(colours) == 1 else colours.copy()
                colours[:, 3] *= self.numbers(alpha)
        return colours

    def _one_number(self, name: str) -> float:
        value = self.spec(name)[1]
        return 1.0 if value is None else float(value)

    def one_or_all(self, name: str) -> Float[np.ndarray, " rows"]:
        """Numbers of a property; one entry when all rows agree."""
        if self.one_value(name):
            return np.array([self._one_number(name)])
        return self.numbers(name)


def as_numbers(column: Any) -> Float[np.ndarray, " n"]:
    """A column as float64; None becomes NaN, dates become milliseconds as in Bokeh."""
    array = np.asarray(column)
    if array.dtype.kind == "M":
        return array.astype("datetime64[us]").astype(np.int64) / 1000.0
    if array.dtype == object:
        return np.array([np.nan if item is None else float(item) for item in column], dtype=float)
    return array.astype(float)


def _expression(expression: Any, source: Any) -> np.ndarray:
    if isinstance(expression, Stack):
        return np.sum([as_numbers(source.data[name]) for name in expression.fields], axis=0)
    if isinstance(expression, CumSum):
        sums = np.cumsum(as_numbers(source.data[expression.field]))
        return np.concatenate([[0.0], sums[:-1]]) if expression.include_zero else sums
    raise unknown("expression", expression)


def _shift(transform: Any, column: np.ndarray) -> np.ndarray:
    """A Dodge on numbers; other transforms move points by code or chance that only a browser has."""
    if isinstance(transform, Dodge):
        return column + transform.value
    raise unknown("transform", transform)
