"""The executor seam (concurrent.futures) and the limit on BLAS threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

from netgeom_widgets.errors import NetgeomError


@cache
def _default_executor() -> ThreadPoolExecutor:
    """One pool of threads for the whole process, made on first use."""
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="netgeom-tile")


def as_executor(executor: Any = None) -> Executor:
    """Turn the keyword ``executor`` of a kernel function into a ``concurrent.futures`` executor.

    Parameters
    ----------
    executor : None, concurrent.futures.Executor or dask.distributed.Client
        None: threads of this process, shared by all callers and never shut down by them. A dask client is asked for its
        own executor (``get_executor``), so dask itself is never imported here and no cluster is started.

    Returns
    -------
    concurrent.futures.Executor

    Raises
    ------
    NetgeomError
        For anything else.
    """
    if executor is None:
        return _default_executor()
    if isinstance(executor, Executor):
        return executor
    if callable(getattr(executor, "get_executor", None)):
        return executor.get_executor()  # dask's ClientExecutor, an Executor without types
    if callable(getattr(executor, "submit", None)) and callable(getattr(executor, "map", None)):
        return executor  # ipyparallel, mpi4py and loky offer the interface by duck typing
    raise NetgeomError(
        "executor is not understood.",
        expected="None, a concurrent.futures.Executor or a dask.distributed.Client",
        got=type(executor).__name__,
    )


class _BlasLimit:
    """The process-wide limit and how many blocks currently ask for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limits: Any = None

    def enter(self) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            self._users += 1
            if self._users == 1:
                _free_openblas()
                self._limits = threadpool_limits(limits=1, user_api="blas")

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                _free_openblas()
                self._limits.restore_original_limits()
                self._limits = None
                _free_openblas()


def _free_openblas() -> None:
    """Let this thread, and then any other, set the number of OpenBLAS threads.

    threadpoolctl 3.8 gives that right to one thread and keeps it there, silently ignoring all others: a limit set once
    in a cell, and those that a widget's thread asks for later, scikit-learn's included, would have no effect.
    """
    import threadpoolctl

    release = getattr(getattr(threadpoolctl, "OpenBLASController", None), "clear_controlling_thread", None)
    if release is not None:
        release(force=True)


_blas_limit = _BlasLimit()


@contextmanager
def single_blas_threads() -> Iterator[None]:
    """Keep numpy's BLAS to one thread inside the block, and put the old number back afterwards.

    OpenBLAS threads on top of torch's were measured 6 times slower than one thread on two cores. The limit belongs to
    the process, so overlapping blocks (two widgets computing at once) are counted: the last one to leave restores.
    """
    _blas_limit.enter()
    try:
        yield
    finally:
        _blas_limit.leave()
