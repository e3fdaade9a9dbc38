"""How the targets read what they are given: their parsing rules, restated; their own parsers."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import fire

SHOW = "import json, sys; json.dump(sys.argv[1:], sys.stdout)"


def pasted(flags: str) -> list[str]:
    """The arguments that a shell makes of flags pasted behind a command."""
    script = f"'{sys.executable}' -c '{SHOW}' \\\n{flags}"
    found = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


def mola_training(arguments: list[str], folder: Path | None = None) -> dict[str, Any]:
    """What mola_training.py has in hand after parsing; with a folder, Gui-LoMo's third script."""
    seen: dict[str, Any] = {}

    def train(
        lora_r: str = "8,8,8", lora_alpha: int = 16, lora_dropout: float = 0.05,
        lora_target_modules: str = "q_proj,v_proj", number_experts: str = "2,2,2",
        top_k: str = "2,2,2", obalance: bool = False,
    ):  # fmt: skip
        if isinstance(lora_r, str) and ".json" not in lora_r:
            lists = [text.split(",") for text in (lora_r, number_experts, top_k)]
            lora_r, number_experts, top_k = ([int(value) for value in one] for one in lists)
            lora_target_modules = lora_target_modules.split(",")
        elif isinstance(lora_r, str):
            lora_r = json.loads((folder / lora_r).read_text())
            number_experts = json.loads((folder / number_experts).read_text())
            top_k = [int(value) for value in top_k]
            lora_target_modules = [str(name) for name in lora_target_modules]
        else:
            lora_r, number_experts, top_k = (
                [int(value) for value in one] for one in (lora_r, number_experts, top_k)
            )
            lora_target_modules = [str(name) for name in lora_target_modules]
        seen.update(locals())

    fire.Fire(train, command=arguments)
    return seen


def mola_evaluation(arguments: list[str]) -> dict[str, list]:
    parser = argparse.ArgumentParser()
    for name in ("number_experts", "top_k", "lora_target_modules"):
        parser.add_argument(f"--{name}", type=str, default="")
    found = parser.parse_args(arguments)
    return {
        "number_experts": [int(value) for value in found.number_experts.split(",")],
        "top_k": [int(value) for value in found.top_k.split(",")],
        "lora_target_modules": [str(name) for name in found.lora_target_modules.split(",")],
    }


def adamole(path: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser(fromfile_prefix_chars="@")
    parser.add_argument("--peft_type", choices=["lora", "mole", "adamole"], default="lora")
    parser.add_argument("--lora_rank", type=int, default=32)
    parser.add_argument("--target_modules", type=str, nargs="+", default=["q_proj", "v_proj"])
    parser.add_argument("--num_experts", type=int, default=1)
    parser.add_argument("--top_k", type=int, default=None)
    parser.add_argument("--threshold", type=float, default=None)
    return parser.parse_args([f"@{path}"])


def moe_peft(job: dict[str, Any]) -> dict[str, Any]:
    """The adapter that MoE-PEFT builds, after its own checks."""
    (adapter,) = job["lora"]
    assert {"cutoff_len", "save_step", "train_strategy"} <= set(job)
    assert adapter["routing_strategy"] == "mola"
    for name in ("r", "lora_alpha", "num_experts", "top_k"):
        assert type(adapter[name]) is int
        assert adapter[name] > 0
    assert type(adapter["lora_dropout"]) is float
    known = {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj", "dense",
        "fc1", "fc2", "qkv_proj", "gate_up_proj", "dense_h_to_4h", "dense_4h_to_h",
    }  # fmt: skip
    wanted = {name for name, value in adapter["target_modules"].items() if value is True}
    assert wanted <= known, "others would be dropped in silence"
    assert adapter["top_k"] <= adapter["num_experts"]
    return adapter


def adapted_by_mola(names: list[str], targets: list[str]) -> list[str]:
    """The modules that MoLA and Gui-LoMo wrap: every one that ends with a target."""
    return [name for name in names if any(name.endswith(target) for target in targets)]
