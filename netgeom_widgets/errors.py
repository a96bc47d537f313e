"""Errors that say what was wrong, what was expected, what came and what to do."""

from __future__ import annotations


class NetgeomError(ValueError):
    """Base of every error this package raises on purpose.

    Parameters
    ----------
    what : str
        What was wrong, one sentence.
    expected, got : str, optional
        What was expected and what came instead.
    try_this : str, optional
        What to do about it.
    """

    def __init__(self, what: str, *, expected: str = "", got: str = "", try_this: str = "") -> None:
        self.what, self.expected, self.got, self.try_this = what, expected, got, try_this
        named = (("Expected", expected), ("Got", got), ("Try", try_this))
        sentences = [what, *(f"{name}: {text}" for name, text in named if text)]
        super().__init__(" ".join(f"{sentence.rstrip('.')}." for sentence in sentences))


class UnsupportedModuleError(NetgeomError):
    """A module or operation outside what a kernel treats exactly; names its dotted path."""


class TooLargeError(NetgeomError):
    """A result would exceed its stated budget; says how far the computation came."""
