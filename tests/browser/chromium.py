"""Where Chromium is, and how it is started."""

from __future__ import annotations

import os
import shutil

ARGUMENTS = [
    "--no-sandbox",  # as root Chromium's sandbox does not start
    "--disable-gpu",  # the same software canvas on every machine
    "--disable-dev-shm-usage",  # containers have 64 MB there
    # The rest keeps it from looking for Google's hosts.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def find_chromium() -> str | None:
    """The executable to drive: $NETGEOM_CHROMIUM, or the first of the usual names on the path."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("NETGEOM_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
