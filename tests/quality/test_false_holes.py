"""Tables of colours are smoothed as SciPy smooths them, without loading it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from scipy.ndimage import gaussian_filter

from gossamer.quality.false_holes import _BINS, _BLUR, _smoothed


def test_tables_are_smoothed_as_by_scipy() -> None:
    random = np.random.default_rng(0)
    for shape in ((_BINS,) * 3, (5, 4, 9)):
        table = random.integers(0, 3000, shape) * (random.random(shape) < 0.3) + 1e-3
        np.testing.assert_allclose(_smoothed(table), gaussian_filter(table, _BLUR), rtol=1e-13)


def test_a_check_with_a_hole_does_without_scipy() -> None:
    """It takes longer to load than everything else that a batch needs for its first picture."""
    program = """
import sys
import numpy as np
import gossamer
y, x = np.mgrid[:150, :200]
alpha = np.clip((60 - np.hypot(y - 75, x - 100)) / 2, 0, 1) * np.clip((np.hypot(y - 75, x - 100) - 15) / 2, 0, 1)
photo = np.where((60 > np.hypot(y - 75, x - 100))[..., None], (0.8, 0.3, 0.2), (0.2, 0.4, 0.7)).astype(np.float32)
found = gossamer.check(np.dstack([photo, alpha]).astype(np.float32), photo)
assert found.measures.false_holes > 0.01, found.measures
assert not any(name.partition(".")[0] == "scipy" for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
