"""The example in plain PyTorch: a mixture learns, and without its experts nothing does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "mixture.py"


@pytest.mark.parametrize(
    ("arguments", "least", "most"), [((), 0.95, 1.0), (("--freeze-experts",), 0.0, 0.5)]
)
def test_it_learns_which_token_follows_which(arguments, least, most):
    ended = subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    found = re.search(r"accuracy ([\d.]+)", ended.stdout)
    assert found is not None
    assert least <= float(found[1]) <= most
