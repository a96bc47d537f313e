"""One colour scale for the partitions of several steps of training, so that their pictures can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from netgeom_widgets.figures.region_values import RegionValues

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Partition

Valued = Callable[["Partition"], RegionValues]


class CommonScales:
    """Remembers the limits of each step drawn, for each way to colour; the scale spans those of all steps so far.

    It only ever grows: a step that is drawn again has the colours that fit the widest scale seen until then.
    """

    def __init__(self) -> None:
        self._limits: dict[tuple[Any, ...], dict[int, tuple[float, float]]] = defaultdict(dict)
        self._drawn: WeakValueDictionary[int, Partition] = WeakValueDictionary()

    def shared(self, key: tuple[Any, ...], step: int, partition: Partition, valued: Valued) -> RegionValues:
        """The values of a step's partition with the limits of all steps.

        Parameters
        ----------
        key : tuple
            What the colours mean.
        step : int
        partition : Partition
            Complete.
        valued : callable
            Gives the values of a partition; also asked for earlier steps that are still in memory when ``key`` is new.
        """
        values = valued(partition)
        if not values.is_number:
            return values
        self._drawn[step] = partition
        limits = self._limits[key]
        limits[step] = values.limits
        for other, drawn in list(self._drawn.items()):
            if other not in limits:
                limits[other] = valued(drawn).limits
        return replace(values, span=(min(low for low, _ in limits.values()), max(high for _, high in limits.values())))

    def count(self, key: tuple[Any, ...]) -> int:
        """How many steps the scale spans."""
        return len(self._limits.get(key, ()))
