"""One colour scale for the partitions of several networks or steps of training, so that pictures can be compared."""

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
Label = tuple[str, int | None]  # network, step of training


class CommonScales:
    """Remembers the limits of each partition drawn, for each way to colour; the scale spans those of all so far.

    It only ever grows with the steps: one that is drawn again has the colours that fit the widest scale seen until
    then. A partition that takes the place of another under the same label takes the place of its limits too.
    """

    def __init__(self) -> None:
        self._limits: dict[tuple[Any, ...], dict[Label, tuple[float, float]]] = defaultdict(dict)
        self._drawn: WeakValueDictionary[Label, Partition] = WeakValueDictionary()

    def restart(self) -> None:
        """Forget all: what comes next is drawn from another slice."""
        self._limits.clear()
        self._drawn.clear()

    def add(self, label: Label, partition: Partition) -> None:
        """Let the scale span a partition, complete, also before it is drawn."""
        if self._drawn.get(label) is not partition:
            self._drawn[label] = partition
            for limits in self._limits.values():
                limits.pop(label, None)

    def shared(
        self, key: tuple[Any, ...], label: Label, partition: Partition, values: RegionValues, valued: Valued
    ) -> RegionValues:
        """The values of a partition with the limits of all partitions.

        Parameters
        ----------
        key : tuple
            What the colours mean.
        label : (str, int or None)
            Name of the network and step of training.
        partition : Partition
            Complete.
        values : RegionValues
            Those of ``partition``.
        valued : callable
            Gives the values of a partition; asked for others that are still in memory when ``key`` is new.
        """
        if not values.is_number:
            return values
        self.add(label, partition)
        limits = self._limits[key]
        limits[label] = values.limits
        for other, drawn in list(self._drawn.items()):
            if other not in limits:
                limits[other] = valued(drawn).limits
        return replace(values, span=(min(low for low, _ in limits.values()), max(high for _, high in limits.values())))

    def count(self, key: tuple[Any, ...]) -> int:
        """How many steps of training the scale spans."""
        return len({step for _, step in self._limits.get(key, ())} - {None})
