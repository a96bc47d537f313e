"""Tests of netgeom_widgets/execution/worker.py."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import CancelledError

import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancelled, Progress, Worker
from netgeom_widgets.execution import worker as worker_module


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


class Gate:
    """A job that runs until it is let go or cancelled."""

    def __init__(self):
        self.started, self.go = threading.Event(), threading.Event()

    def __call__(self, progress, cancel):
        self.started.set()
        while not self.go.wait(0.002):
            cancel.checkpoint()
        return "through"


def test_the_future_holds_what_the_job_returns(worker):
    seen = []
    future = worker.submit(lambda progress, cancel: (progress.update(1, 4), 42)[1], progress=Progress(seen.append))
    assert future.result(5) == 42
    assert seen[0].fraction == 0.25


def test_the_future_holds_what_the_job_raises_and_the_thread_survives(worker):
    def fail(progress, cancel):
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        worker.submit(fail).result(5)
    assert worker.submit(lambda progress, cancel: 1).result(5) == 1


def test_of_many_requests_the_latest_wins(worker):
    gate, ran = Gate(), []
    first = worker.submit(gate)
    gate.started.wait(5)
    futures = [worker.submit(lambda progress, cancel, i=i: ran.append(i)) for i in range(50)]
    assert worker.wait(5)
    assert ran == [49]
    assert isinstance(first.exception(), Cancelled)
    assert all(isinstance(future.exception(), Cancelled) for future in futures[:-1])


def test_other_keys_are_left_alone(worker):
    gate = Gate()
    run = worker.submit(gate, key="run")
    gate.started.wait(5)
    view = worker.submit(lambda progress, cancel: "view", key="view")
    assert worker.is_busy("run") and worker.is_busy("view") and not worker.is_busy("other")
    gate.go.set()
    assert run.result(5) == "through"
    assert view.result(5) == "view"


def test_cancel_one_key_or_all(worker):
    gate = Gate()
    run = worker.submit(gate, key="run")
    gate.started.wait(5)
    view = worker.submit(lambda progress, cancel: "view", key="view")
    worker.cancel("view")
    assert isinstance(view.exception(5), Cancelled)
    assert not run.done()
    worker.cancel()
    assert isinstance(run.exception(5), Cancelled)


def test_debounce_starts_only_the_last_of_a_drag():
    worker, ran = Worker(debounce=30.0), []
    for i in range(20):
        worker.submit(lambda progress, cancel, i=i: ran.append(i))
    assert ran == []
    assert worker.wait(5)  # waiting starts it at once
    assert ran == [19]
    worker.close()


def test_debounced_jobs_start_by_themselves_and_urgent_ones_overtake(worker):
    done = []
    late = worker.submit(lambda progress, cancel: done.append("late"), key="a", debounce=0.05)
    worker.submit(lambda progress, cancel: done.append("now"), key="b").result(5)
    late.result(5)
    assert done == ["now", "late"]


def test_wait_says_when_the_time_is_up_and_refuses_its_own_thread(worker):
    gate = Gate()
    worker.submit(gate)
    assert worker.wait(0.01) is False
    gate.go.set()
    assert worker.wait(5) is True
    with pytest.raises(RuntimeError, match="own worker"):
        worker.submit(lambda progress, cancel: worker.wait()).result(5)


def test_a_future_cancelled_by_its_owner_does_no_harm(worker):
    gate, ran = Gate(), []
    worker.submit(gate, key="run")
    gate.started.wait(5)
    future = worker.submit(lambda progress, cancel: ran.append(1), key="later")
    future.cancel()
    gate.go.set()
    assert worker.wait(5)
    with pytest.raises(CancelledError):
        future.result()
    assert ran == []


def test_any_thread_may_submit(worker):
    ran = []
    threads = [
        threading.Thread(
            target=lambda k=k: [worker.submit(lambda p, c, k=k: ran.append(k), key=str(k)) for _ in range(50)]
        )
        for k in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.wait(5)
    assert set(ran) == set(range(8))


def test_close_ends_the_thread_twice_and_refuses_work():
    worker, gate = Worker(name="netgeom-close"), Gate()
    future = worker.submit(gate)
    gate.started.wait(5)
    worker.close()
    worker.close()
    assert isinstance(future.exception(5), Cancelled)
    assert not [t for t in threading.enumerate() if t.name == "netgeom-close"]
    with pytest.raises(NetgeomError, match=r"The worker is closed. Try: make a new one"):
        worker.submit(gate)


def test_no_thread_before_the_first_job():
    before = threading.active_count()
    worker = Worker()
    assert threading.active_count() == before
    worker.close()


def test_a_forgotten_worker_is_collected_and_keeps_no_job_alive():
    class Payload:
        def __call__(self, progress, cancel):
            return 1

    worker, payload = Worker(name="netgeom-forgotten"), Payload()
    worker.submit(payload).result(5)
    worker.wait(5)
    ref = weakref.ref(payload)
    del payload
    gc.collect()
    assert ref() is None
    del worker
    gc.collect()
    deadline = time.monotonic() + 5
    while [t for t in threading.enumerate() if t.name == "netgeom-forgotten"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [t for t in threading.enumerate() if t.name == "netgeom-forgotten"]


@pytest.mark.parametrize("job", ["lambda p, c: time.sleep(600)", "lambda p, c: [c.checkpoint() for _ in iter(int, 1)]"])
def test_the_interpreter_exits_while_a_job_runs(job):
    code = (
        "import time\nfrom netgeom_widgets.execution import Worker\n"
        f"worker = Worker(); worker.submit({job}); time.sleep(0.1); print('end')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_an_idle_thread_ends_and_the_next_job_starts_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_IDLE", 0.05)
    worker = Worker(name="idle-test")
    first = worker.submit(lambda progress, cancel: threading.current_thread()).result(5)
    first.join(5)
    assert not first.is_alive()
    second = worker.submit(lambda progress, cancel: threading.current_thread()).result(5)
    assert second is not first and second.name == "idle-test"
    worker.close()
