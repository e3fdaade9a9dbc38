"""The oldest PEFT that pyproject.toml allows: the same tests, in a process that imports it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOLDER = Path(sys.prefix) / "oldest"
FAMILIES = "every_family and (llama or gpt2 or bert or t5)"
WANTED = f"saved or peft_itself or on_off or generation or refused or mola or ({FAMILIES})"


def test_the_method_works_with_it():
    oldest = re.search(r'"peft>=([\d.]+),', (ROOT / "pyproject.toml").read_text())
    assert oldest is not None
    if not FOLDER.is_dir():
        pytest.fail(f"run `make test`, or: pip install --no-deps --target {FOLDER} peft")
    environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
    code = "import peft; print(peft.__version__)"
    command = [sys.executable, "-c", code]
    seen = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert seen.stdout.strip().startswith(oldest[1])
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore",
        "tests/trainer/test_tuner.py", "-k", WANTED,
    ]  # fmt: skip
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", ended.stdout)[0]) >= 24
