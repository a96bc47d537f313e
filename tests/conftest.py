"""Settings for every test: shapes and dtypes are checked at run time, examples are the same in every CI run."""

from __future__ import annotations

import os

import hypothesis
from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401 - the hook looks it up by name

# Annotations such as Float64[np.ndarray, "R C 2"] are promises to users. In tests, and only there, each call checks
# them; this has to stand before the first import of a kernel.
install_import_hook("netgeom_widgets.kernels", "tests.typecheck.checked")

# A run in CI must not depend on luck; at a developer's desk new examples are welcome.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, max_examples=25)
hypothesis.settings.register_profile("desk", deadline=None, max_examples=25)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")
