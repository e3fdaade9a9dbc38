"""What `make env` writes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.compose import ROOT


@pytest.fixture
def secrets(tmp_path) -> Path:
    """The folder that `make env` writes."""
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    command = [sys.executable, str(ROOT / "scripts" / "make_env.py"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "secrets"
