"""Tests of netgeom_widgets/execution/executors.py."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import as_executor, single_blas_threads


def blas_threads():
    assert np.ones((2, 2)).sum() == 4  # numpy, and with it its BLAS, is loaded
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_the_default_is_one_pool_of_threads_of_this_process():
    executor = as_executor(None)
    assert as_executor() is executor
    assert executor.submit(threading.get_ident).result(5) != threading.get_ident()


def test_an_executor_passes_and_a_client_is_asked_for_its_own():
    with ThreadPoolExecutor(1) as pool:

        class Client:
            def get_executor(self):
                return pool

        assert as_executor(pool) is pool
        assert as_executor(Client()) is pool


def test_nonsense_is_refused():
    with pytest.raises(NetgeomError, match="executor is not understood"):
        as_executor("threads")


def test_blas_threads_are_limited_and_put_back():
    before = blas_threads()
    with single_blas_threads():
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before


def test_overlapping_limits_put_back_the_first_number():
    before = blas_threads()
    first, second = single_blas_threads(), single_blas_threads()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # the order two widgets leave in is not the order they came
    assert set(blas_threads()) <= {1}
    second.__exit__(None, None, None)
    assert blas_threads() == before


def test_one_thread_that_set_a_limit_leaves_the_next_one_free_to():
    before = blas_threads()
    with single_blas_threads():
        pass

    def within():
        with single_blas_threads():
            return blas_threads()

    with ThreadPoolExecutor(1) as pool:
        assert set(pool.submit(within).result(10)) <= {1}
        first = single_blas_threads()
        first.__enter__()
        second = single_blas_threads()
        pool.submit(second.__enter__).result(10)
        first.__exit__(None, None, None)
        assert set(blas_threads()) <= {1}
        pool.submit(second.__exit__, None, None, None).result(10)
        assert blas_threads() == before
        with single_blas_threads():
            assert set(blas_threads()) <= {1}
    assert blas_threads() == before


def test_blas_threads_are_put_back_after_an_error():
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), single_blas_threads():
        raise ZeroDivisionError
    assert blas_threads() == before
