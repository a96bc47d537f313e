"""`import netgeom_widgets` is cheap: everything heavy waits until a name is used."""

from __future__ import annotations

import re
import subprocess
import sys

import netgeom_widgets as ng

HEAVY = (
    "torch",
    "numpy",
    "scipy",
    "sklearn",
    "igraph",
    "bokeh",
    "ipywidgets",
    "anywidget",
    "IPython",
    "matplotlib",
    "zarr",
    "dask",
)


def fresh(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)


def test_nothing_heavy_is_loaded() -> None:
    loaded = fresh("-c", "import netgeom_widgets, sys; print(*sys.modules)").stdout.split()
    assert not [name for name in HEAVY if name in loaded]


def test_import_takes_under_300_milliseconds() -> None:
    # Python's own account of the import, without the interpreter's start; the minimum of five runs is what the code
    # costs, the rest is what else the machine was doing. It is about 15 ms, most of it
    # `typing`, so a busy machine does not fail this.
    def milliseconds() -> float:
        report = fresh("-X", "importtime", "-c", "import netgeom_widgets").stderr
        (cumulative,) = re.findall(r"\|\s*(\d+) \| netgeom_widgets$", report, re.MULTILINE)
        return int(cumulative) / 1000

    assert min(milliseconds() for _ in range(5)) < 300


def test_every_public_name_resolves() -> None:
    assert all(getattr(ng, name) is not None for name in ng.__all__)
    assert set(ng.__all__) <= set(dir(ng))


def test_an_unknown_name_is_an_attribute_error() -> None:
    code = "import netgeom_widgets as ng\ntry: ng.nonsense\nexcept AttributeError as error: print(error)"
    assert "module 'netgeom_widgets' has no attribute 'nonsense'" in fresh("-c", code).stdout


def test_the_import_works_without_its_dependencies() -> None:
    """An isolated interpreter without site-packages: the front page of the package needs nothing but Python."""
    path = ng.__path__[0].removesuffix("netgeom_widgets")
    out = fresh(
        "-I", "-S", "-c", f"import sys; sys.path.append({path!r}); import netgeom_widgets as ng; print(ng.__version__)"
    )
    assert out.stdout.strip() == ng.__version__
