"""The values used last, so that going back to them computes nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Recent:
    """The values used last, by key; the oldest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key, made now if it is not there."""
        if key not in self._held:
            self.put(key, make())
        self._held.move_to_end(key)
        return self._held[key]

    def find(self, key: Hashable) -> Any:
        """The value of a key, or None."""
        return self._held.get(key)

    def put(self, key: Hashable, value: Any) -> None:
        """Hold a value."""
        self._held[key] = value
        self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)
