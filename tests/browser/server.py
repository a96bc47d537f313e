"""One JupyterLab server with a home of its own, for all browser tests."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from pathlib import Path
from typing import Any

TOKEN = secrets.token_hex()
START_DEADLINE = 90  # seconds; it takes 4 on an idle machine
ENVIRONMENT = Path(sys.executable).parent


class JupyterLab:
    """A server whose configuration, data, runtime files and notebooks all lie in ``home``; the user's are not read."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.notebooks = home / "notebooks"
        self.runtime = home / "runtime"
        self.environment = {
            **os.environ,
            "PATH": f"{ENVIRONMENT}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "IPYTHONDIR": str(home / "ipython"),
            "PYTHONPATH": str(Path(__file__).parents[2]),  # notebooks of the tests import from tests/
            "OMP_NUM_THREADS": "1",  # browser, server and kernel share the machine
        }
        for folder in (self.notebooks, self.runtime, home / "config" / "labconfig"):
            folder.mkdir(parents=True)
        # The news dialogue covers the lower right corner of the page, and asks a server outside.
        disabled = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
        (home / "config" / "labconfig" / "page_config.json").write_text(json.dumps(disabled))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = (home / "server.log").open("w")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                "--ip=127.0.0.1",
                f"--port={self.port}",
            ]
            + [
                "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={TOKEN}",
                f"--ServerApp.root_dir={self.notebooks}",
            ]
            + ["--expose-app-in-browser", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self._wait_until_it_answers()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.get("status")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
            else:
                return
        self.close()
        raise RuntimeError("JupyterLab did not start:\n" + (self.home / "server.log").read_text()[-3000:])

    def request(self, method: str, path: str) -> Any:
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method)  # noqa: S310  our own address
        request.add_header("Authorization", f"token {TOKEN}")
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            body = answer.read()
        return json.loads(body) if body else None

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def sessions(self) -> list[dict[str, Any]]:
        return self.get("sessions")

    def end_sessions(self, notebooks: Collection[str] | None = None) -> None:
        """End the kernels of these notebooks, or all, so that the next test meets fresh ones."""
        for session in self.sessions():
            if notebooks is None or session["path"] in notebooks:
                self.request("DELETE", f"sessions/{session['id']}")

    def trust(self, path: Path) -> None:
        """Sign a notebook as its user does with `jupyter trust`."""
        command = [str(ENVIRONMENT / "jupyter-trust"), str(path)]
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=60)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
