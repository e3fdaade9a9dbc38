"""`tailora merge` and `tailora to-lora` as a user runs them."""

import json
import re

import pytest

from tests.hub.server import HubDouble
from tests.service.command import fails, run
from tests.trainer.saved import drawn, save

pytestmark = pytest.mark.slow

WITHOUT = "import sys; sys.modules['{name}'] = None"


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """An adapter with one expert everywhere."""
    return save(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """An adapter with one expert a module in layer 0, three in layer 1."""
    return save(tmp_path_factory.mktemp("several"), counts=(1, 3))


def test_merge(one, tmp_path):
    """From the Hub too; what it writes is a model that plans can be made for."""
    out = tmp_path / "merged"
    found = run("merge", one.adapter, "--model", one.base, "--out", out)
    assert found.stdout == (
        f"14 modules merged into the base model, with its tokenizer; written in float32 to {out}\n"
    )
    assert found.stderr == ""
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        path.name for path in out.iterdir()
    }
    with HubDouble() as hub:
        hub.add("org/base", out.parent / "merged", tag="v1")
        hub.add("org/adapter", one.root / "adapter")
        words = ("merge", "org/adapter", "--model", "org/base@v1", "--out", tmp_path / "twice")
        run(*words, **hub.environment(tmp_path / "hf"))
    assert (tmp_path / "twice" / "tokenizer.json").read_bytes() == (
        out / "tokenizer.json"
    ).read_bytes()


def test_several_experts_are_refused(several, tmp_path):
    out = tmp_path / "out"
    line = fails("merge", several.adapter, "--model", several.base, "--out", out, code=2,
                 message="7 of 14 modules have more than one expert")  # fmt: skip
    assert "`tailora to-lora`" in line
    assert list(tmp_path.iterdir()) == []


def test_to_lora(several, tmp_path):
    """The table says what the JSON says."""
    data = several.texts([json.dumps({"text": text}) for text in drawn(6)], "data.jsonl")
    words = ("to-lora", several.adapter, "--model", several.base, "--data", data, "--device", "cpu")
    made = run(*words, "--out", tmp_path / "a", "--json", "--batch-size", 2, "--max-length", 9)
    assert made.stderr == ""
    found = json.loads(made.stdout)
    assert found["modules"] == 14
    assert found["largest_rank"] == 24
    assert found["gap"] == found["lora_loss"] - found["mixture_loss"]
    assert found["tokens"] == sum(min(len(text.split()), 9) - 1 for text in drawn(6))
    assert found["warnings"] == []
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA"
    assert config["base_model_name_or_path"] == several.base
    assert config["rank_pattern"][r"model\.layers\.1\.mlp\.up_proj"] == 24
    assert config["alpha_pattern"][r"model\.layers\.1\.mlp\.up_proj"] == 48
    table = run(*words, "--out", tmp_path / "b", "--max-length", 9).stdout
    for name, key in (("base", "base"), ("mixture", "mixture"), ("LoRA", "lora")):
        (shown,) = re.findall(rf"{name} +([\d.]+)\n", table)
        assert float(shown) == pytest.approx(found[f"{key}_loss"], abs=1e-4)
    assert f"gap      {found['gap']:+.4f}" in table
    assert "--max-lora-rank 24" in table


def test_what_cannot_be_used(one, tmp_path):
    """Codes: 5 for an adapter that is none, 2 for texts."""
    data = one.texts(['{"text": "w5 w6"}', '{"txt": "w5"}'], "bad.jsonl")
    words = ("to-lora", one.adapter, "--model", one.base, "--out", tmp_path / "out", "--data")
    fails(*words, data, code=2, message="line 2 of")
    adapter = ("merge", one.base, "--model", one.base, "--out", tmp_path / "out")
    fails(*adapter, code=5, message="has no adapter_config.json")
    assert "Usage" in run("merge", one.adapter, code=2).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["torch", "peft"])
def test_without_the_train_extra(name, one, tmp_path):
    words = ("merge", one.adapter, "--model", one.base, "--out", tmp_path / "out")
    message = (
        f"needs {name}, which is not installed; install it with `pip install 'tailora[train]'`"
    )
    fails(*words, code=2, message=message, before=WITHOUT.format(name=name))
