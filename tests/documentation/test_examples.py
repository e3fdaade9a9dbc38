"""The examples end with what they promise."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.families import save_family
from tests.service.cli_service import serving
from tests.trainer.runs import pairs, write_lines
from tests.trainer.saved import save_tokenizer

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "examples"


def ended(*command: object, cwd: Path | None = None, **environment: str) -> str:
    found = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_the_classifier_learns_what_is_asked_of_things_it_never_saw(tmp_path, minilm):
    told = ended(sys.executable, EXAMPLES / "classifier.py", tmp_path)
    assert "experts: (5, 5, 5, 4, 5, 6)" in told
    before = float(re.search(r"before training: .*accuracy ([\d.]+)", told)[1])
    after, f1 = map(float, re.search(r"^accuracy ([\d.]+), macro-F1 ([\d.]+)", told, re.M).groups())
    assert before < 0.5
    assert after > 0.9
    assert f1 > 0.9


def test_the_causal_model_learns_what_words_mean(tmp_path):
    told = ended(sys.executable, EXAMPLES / "causal.py", tmp_path)
    found = dict(re.findall(r"^(before|after): .*right answers ([\d.]+)", told, re.M))
    assert float(found["before"]) < 0.2
    assert float(found["after"]) > 0.9


def test_a_training_by_curl(tmp_path):
    model = tmp_path / "models" / "llama"
    save_family("llama", model)
    save_tokenizer(model)
    data = write_lines(tmp_path / "answers.jsonl", pairs(24))
    own = {"TAILORA_MODELS": tmp_path / "models", "TAILORA_THREADS": "1"}
    with serving(tmp_path / "service", ready="devices=cpu", **own) as service:
        script = EXAMPLES / "api.sh"
        told = ended("sh", script, model, data, 5, 4, cwd=tmp_path, TAILORA_URL=service.url)
        refused = subprocess.run(
            ["sh", script, "/nowhere", data], env={**os.environ, "TAILORA_URL": service.url},
            capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
    assert re.search(r"^trn_\S+ succeeded$", told, re.M)
    assert re.search(r"^event: step$", told, re.M)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["peft_type"] == "TAILORA"
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size > 1000
    assert refused.returncode != 0
    assert "path_not_allowed" in refused.stdout + refused.stderr
