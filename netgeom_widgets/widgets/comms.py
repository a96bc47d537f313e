"""Messages from a browser that are heard while a cell runs, where front end and kernel have threads for them.

JupyterLab addresses the messages of widgets to a subshell, a thread of the kernel beside the one that runs cells. Two
things in ipykernel keep them from being of use; both are mended here for single comms, nothing is changed globally.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import ipywidgets


def hear_beside_cells(widget: ipywidgets.Widget) -> None:
    """Let a widget and its children, present and future, hear the browser on the thread a message names.

    ipykernel 7.4 hands a message to the thread from which its comm was last written to, whatever the message says: a
    widget made by a cell would first be heard when no cell runs any more. That is meant for cells that await an answer,
    which nothing here does.

    Every message also ends with the hooks of a cell's end, on any thread: the one of matplotlib takes the plot that a
    running cell has begun, and the notebook never shows it (ipykernel#1564). Beside the main thread they are left out.

    Kernels without subshells do neither, and nothing changes there.
    """
    comm = widget.comm
    if hasattr(comm, "_msg_callback") and "handle_msg" not in vars(comm):
        comm.handle_msg = partial(_handle, comm)
        if hasattr(comm, "_reply_subshell_for"):
            comm._reply_subshell_for = _as_addressed
    if widget.has_trait("children"):
        widget.observe(_hear_children, "children")
        for child in widget.children:
            hear_beside_cells(child)


def _hear_children(change: Any) -> None:
    for child in change["new"]:
        hear_beside_cells(child)


def _handle(comm: Any, message: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        type(comm).handle_msg(comm, message)
    elif comm._msg_callback is not None:
        comm._msg_callback(message)


def _as_addressed(data: Any, subshell: str | None) -> str | None:
    return subshell
