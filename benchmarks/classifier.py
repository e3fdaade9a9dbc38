"""All-MiniLM-L6-v2 fine-tuned as a classifier under every preset, against what it beats.

Descriptions of packages are told apart by section (`benchmarks.corpora`), no source package on both
sides. Baselines: the model before training (its head is new), and logistic regression on frozen
features. Each preset is trained with several seeds through `trainer.finetune`, on a plan of the
model's own (`tailora plan`, by alphalora or mola). Finished runs in FOLDER are not repeated.

    python -m benchmarks.classifier FOLDER [--presets …] [--seeds 0,1,2] [--set FIELD=VALUE …]
    python -m benchmarks.classifier FOLDER --validate …    settings are chosen inside training data

Ends with 1 unless every preset beats both baselines by more than two points and two standard
deviations of the paired difference, and no router of a top-k preset is more imbalanced than 1.2.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import torch

from benchmarks.corpora.files import Corpus, labelled
from benchmarks.frozen import Frozen, frozen
from benchmarks.machine import describe
from benchmarks.plans import make_plans, minilm
from trainer.exports.base import silence
from trainer.finetune.run import METRICS, Trained, finetune
from trainer.presets import make_recipe

PRESETS = ("alphalora", "mola", "adamole", "lora_dropout", "lora")
ROUTED_BY_TOP_K = {"alphalora", "mola", "lora_dropout"}
PLANS = dict.fromkeys(PRESETS, "alphalora") | {"mola": "mola"}
SETTINGS: dict[str, Any] = {
    "optimiser.learning_rate": 2e-3,
    "schedule.shape": "linear", "schedule.epochs": 3, "schedule.warmup_steps": 20,
    "schedule.batch": 16, "schedule.micro_batch": 16,
    "data.length": 64, "checkpoints.every": 10_000, "base.precision": "float32",
}  # fmt: skip
"""The same for all presets; chosen by `--validate`."""

BALANCED = {"mixture.balance_coefficient": 0.2}
"""Where balance is asked for: 0.001, for a mean over 36 modules, does nothing here."""

OWN: dict[str, dict[str, Any]] = {
    "alphalora": BALANCED,
    "mola": BALANCED,
    "lora_dropout": BALANCED,
    "lora": {"optimiser.learning_rate": 1e-3},
}
"""Of single presets, chosen in the same way. The plain LoRA has all its ranks active at the scale
of two experts' ranks, and diverges at the mixtures' learning rate.
"""


class Run(NamedTuple):
    """One preset and seed."""

    before: float
    after: float
    """Accuracies on the held-out rows."""

    imbalance: float
    """Of the router that is furthest from balance in the last steps; see ModuleStatistics."""

    seconds: float


def run(
    folder: Path, model: Path, plan: Any, corpus: Corpus, preset: str, seed: int, changes: Any
) -> Run:
    """Train, or read what was trained."""
    recipe = make_recipe(
        plan,
        task="classification",
        base={"path": str(model), "weights": plan.weights},
        data={"train": str(corpus.train), "held_out": str(corpus.held_out)},
        preset=preset,
        changes=SETTINGS | OWN.get(preset, {}) | changes | {"seed": seed},
    )
    out, start = folder / f"{preset}-{seed}", time.monotonic()
    time_file = out / "seconds"
    trained: Trained = finetune(recipe, out)
    if trained.after is None:
        sys.exit(f"{out} was stopped; the same command goes on")
    if not time_file.exists():
        time_file.write_text(f"{time.monotonic() - start:.0f}")
    assert trained.before.accuracy is not None
    assert trained.after.accuracy is not None
    return Run(
        trained.before.accuracy, trained.after.accuracy,
        largest_imbalance(out / METRICS), float(time_file.read_text()),
    )  # fmt: skip


def largest_imbalance(metrics: Path) -> float:
    """E · Σ load share · mean probability of the least balanced router in the last line; 1 where
    there is no router.
    """
    last = json.loads(metrics.read_text(encoding="utf-8").splitlines()[-1])
    sums = [
        len(found["load_share"])
        * sum(f * p for f, p in zip(found["load_share"], found["mean_probability"], strict=True))
        for found in last["mixtures"].values()
    ]
    return max(sums, default=1.0)


def beats(differences: Sequence[float]) -> bool:
    """By more than two points, and by more than two standard deviations over seeds."""
    spread = stdev(differences) if len(differences) > 1 else float("inf")
    return mean(differences) > max(0.02, 2 * spread)


def points(differences: Sequence[float]) -> str:
    spread = f" ± {100 * stdev(differences):.1f}" if len(differences) > 1 else ""
    return f"{100 * mean(differences):+.1f}{spread}"


def report(runs: dict[str, list[Run]], features: Frozen) -> bool:
    """Print the table; whether all holds that must."""
    print(f"\nfrozen features: {features.accuracy:.3f} (C = {features.strength:g})\n")
    print("| preset | untuned | accuracy by seed | mean | over untuned | over frozen | imbalance |")
    print("|---" * 7 + "|")
    good = True
    for preset, found in runs.items():
        over_untuned = [each.after - each.before for each in found]
        over_frozen = [each.after - features.accuracy for each in found]
        worst = max(each.imbalance for each in found)
        cells = [
            f"{mean(each.before for each in found):.3f}",
            " ".join(f"{each.after:.3f}" for each in found),
            f"{mean(each.after for each in found):.3f}",
            points(over_untuned), points(over_frozen),
            f"{worst:.2f}" if preset != "lora" else "",
        ]  # fmt: skip
        print(f"| {preset} | {' | '.join(cells)} |")
        good &= beats(over_untuned) and beats(over_frozen)
        good &= worst <= 1.2 or preset not in ROUTED_BY_TOP_K
    print(f"\n{'all' if good else 'NOT ALL'} of what must hold does")
    return good


def command_of(model: Path, plans: Path, corpus: Corpus, folder: Path, changes: Any) -> str:
    """What compares plans on the same data."""
    words = ["tailora", "compare-training", plans / "alphalora.json", "--model", model]
    words += ["--data", corpus.train, "--held-out", corpus.held_out, "--out", folder / "comparison"]
    words += ["--against", "lora,uniform,mola:2468"]
    for name, value in (SETTINGS | BALANCED | changes).items():
        words += ["--set", f"{name}={value}"]
    for name, value in OWN["lora"].items():
        words += ["--set-arm", f"lora:{name}={value}"]
    return shlex.join(map(str, words))


def words(text: str) -> list[str]:
    return text.split(",")


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="MiniLM as a classifier, under every preset.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="all-MiniLM-L6-v2")
    parser.add_argument("--presets", type=words, default=PRESETS)
    parser.add_argument("--seeds", type=words, default=["0", "1", "2"])
    parser.add_argument("--budget", type=int, default=30)
    parser.add_argument("--each", type=int, default=300, help="rows of a class")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--validate", action="store_true", help="hold out training rows")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    return parser.parse_args()


def main() -> None:
    """Train what is not trained yet, and print the table."""
    given = asked()
    torch.set_num_threads(given.threads)
    silence()
    model, folder = given.model or minilm(), given.folder.resolve()
    print(describe())
    corpus = labelled(folder / "corpus", given.each, inside=given.validate)
    plans = make_plans(model, given.budget, folder / "plans")
    changes = {
        name: json.loads(value) for name, _, value in (text.partition("=") for text in given.set)
    }
    print(command_of(model, folder / "plans", corpus, folder, changes), flush=True)
    kept = folder / "frozen.json"
    if not kept.exists():
        features = frozen(model, *corpus, int(SETTINGS["data.length"]))
        kept.write_text(json.dumps(features))
    features = Frozen(*json.loads(kept.read_text()))
    runs: dict[str, list[Run]] = {preset: [] for preset in given.presets}
    for seed in map(int, given.seeds):
        for preset, found in runs.items():
            plan = plans[PLANS[preset]]
            found.append(run(folder / "runs", model, plan, corpus, preset, seed, changes))
            print(f"{preset}, seed {seed}: {found[-1]}", flush=True)
    sys.exit(0 if report(runs, features) else 1)


if __name__ == "__main__":
    main()
