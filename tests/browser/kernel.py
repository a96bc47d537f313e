"""Reading the state of a notebook's kernel from outside, as a second client beside the browser."""

from __future__ import annotations

import ast
import time
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient


class Kernel:
    """A client of one running kernel, by the connection file in the server's runtime folder."""

    def __init__(self, connection_file: Path) -> None:
        self._client = BlockingKernelClient(connection_file=str(connection_file))
        self._client.load_connection_file()
        # Nothing is read from the other channels: a widget with a progress bar never lets them run dry.
        self._client.start_channels(iopub=False, stdin=False, hb=False, control=False)

    def value(self, expression: str, *, timeout: float = 60) -> Any:
        """The value of a Python expression there; anything whose ``repr`` is a literal."""
        reply = self._ask("", {"value": expression}, timeout)["user_expressions"]["value"]
        if reply["status"] != "ok":
            raise AssertionError(f"{expression!r} raised {reply['ename']}: {reply['evalue']}")
        return ast.literal_eval(reply["data"]["text/plain"])

    def run(self, code: str, *, timeout: float = 60) -> None:
        """Run statements there, outside any cell: nothing of it is shown in the notebook."""
        reply = self._ask(code, {}, timeout)
        if reply["status"] != "ok":
            raise AssertionError(f"{code!r} raised {reply['ename']}: {reply['evalue']}")

    def wait_for(self, expression: str, *, timeout: float = 30) -> Any:
        """Wait until an expression is true there, and return its value."""
        deadline = time.monotonic() + timeout
        while not (value := self.value(expression)):
            if time.monotonic() > deadline:
                raise AssertionError(f"{expression!r} stayed {value!r} for {timeout} s")
            time.sleep(0.05)
        return value

    def _ask(self, code: str, expressions: dict[str, str], timeout: float) -> dict[str, Any]:
        asked = self._client.execute(
            code, silent=True, store_history=False, user_expressions=expressions, allow_stdin=False
        )
        deadline = time.monotonic() + timeout
        while True:  # answers to earlier questions that timed out may come first
            reply = self._client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == asked:
                return reply["content"]

    def close(self) -> None:
        self._client.stop_channels()
