"""An error says what was wrong, what was expected, what came and what to do, in sentences."""

from __future__ import annotations

import pytest

from netgeom_widgets.errors import NetgeomError, TooLargeError, UnsupportedModuleError


def test_the_message_names_all_parts() -> None:
    error = NetgeomError("It is too long", expected="at most 3", got="4", try_this="a shorter one.")
    assert str(error) == "It is too long. Expected: at most 3. Got: 4. Try: a shorter one."
    assert (error.what, error.expected, error.got, error.try_this) == (
        "It is too long",
        "at most 3",
        "4",
        "a shorter one.",
    )


def test_parts_that_are_missing_are_left_out() -> None:
    assert str(NetgeomError("It is closed.")) == "It is closed."


@pytest.mark.parametrize("kind", [UnsupportedModuleError, TooLargeError])
def test_all_errors_are_value_errors(kind: type[NetgeomError]) -> None:
    assert issubclass(kind, NetgeomError) and issubclass(kind, ValueError)
