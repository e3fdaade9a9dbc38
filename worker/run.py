"""The process of one training or comparison: `python -m worker.run`, once for each device.

In its folder it reads `order.json`, and leaves `result.json`, or `error-RANK.json` where it failed;
what it has to tell on the way are lines of `said.jsonl`. It ends with the process that started it.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

ORDER, RESULT, SAID, SUMS = "order.json", "result.json", "said.jsonl", "sums.json"
OUT, METRICS, ASKED, RUNS = "out", "metrics.jsonl", "asked.json", "runs"
"""As `trainer` names them, which is not imported before it is needed."""

ERROR = "error-*.json"
COMMAND = "worker.run"
"""The module, as a process's command line has it."""

NOTHING_TO_KEEP = 75
"""Exit status where it was asked to stop before its first step."""

Say = Callable[[str], None]


def main() -> int:
    """Do what the folder's order says; the exit status."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, _asked_to_stop)
    rank = int(os.environ.get("RANK", "0"))
    try:
        order = json.loads(Path(ORDER).read_bytes())
        result = KINDS[order["kind"]](order, Path(OUT), _say)
    except Exception as error:
        from worker.codes import error_of

        traceback.print_exc()
        _write(Path(ERROR.replace("*", str(rank))), error_of(error))
        return 1
    if rank == 0:
        _write(Path(RESULT), result)
    return 0


def _asked_to_stop(number: int, frame: FrameType | None) -> None:
    """Once steps are made the training listens for itself, and its last evaluation may end."""
    if not (Path(OUT) / METRICS).exists() and not (Path(OUT) / ASKED).exists():
        os._exit(NOTHING_TO_KEEP)


def _train(order: dict[str, Any], out: Path, say: Say) -> dict[str, Any]:
    from allocator.plan import Plan
    from trainer.exports.base import silence

    silence()
    from trainer.dataset.columns import task_of
    from trainer.dataset.peek import form_at
    from trainer.finetune.run import finetune
    from trainer.presets import make_recipe

    recipe = make_recipe(
        Plan.model_validate(order["plans"][0]),
        task=task_of(form_at(order["data"]["train"])),
        base=order["base"],
        data=_with_sums(order["data"]),
        preset=order["words"]["preset"],
        changes=order["words"]["settings"],
    )
    trained = finetune(recipe, out, say, steps=False)
    return {**trained.model_dump(mode="json"), "recipe_digest": recipe.digest}


def _compare(order: dict[str, Any], out: Path, say: Say) -> dict[str, Any]:
    from allocator.plan import Plan
    from trainer.exports.base import silence

    silence()
    from trainer.compare.arms import comparison_of
    from trainer.compare.run import compare
    from trainer.dataset.columns import task_of
    from trainer.dataset.peek import form_at

    words = order["words"]
    plans = [Plan.model_validate(plan) for plan in order["plans"]]
    comparison = comparison_of(
        dict(zip(words["plans"], plans, strict=True)),
        task=task_of(form_at(order["data"]["train"])),
        base=order["base"],
        data=_with_sums(order["data"]),
        against=words["against"],
        seeds=words["seeds"],
        preset=words["preset"],
        changes=words["settings"],
        reference=words["reference"],
        keep_adapters=False,
    )
    found = compare(comparison, out, say, steps=False)
    return {"status": found.status, "comparison": found.model_dump(mode="json", by_alias=True)}


KINDS: dict[str, Callable[[dict[str, Any], Path, Say], dict[str, Any]]] = {
    "training": _train,
    "comparison": _compare,
}


def _with_sums(data: dict[str, Any]) -> dict[str, Any]:
    """The data with the sha256 that it had at first: registered files may change meanwhile."""
    from trainer.dataset.sums import sums_of

    if not Path(SUMS).exists():
        _write(Path(SUMS), {"sums": sums_of(data["train"], data.get("held_out"))})
    return {**data, "sums": tuple(json.loads(Path(SUMS).read_bytes())["sums"])}


def _say(line: str) -> None:
    with Path(SAID).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"message": line}) + "\n")


def _write(file: Path, content: dict[str, Any]) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.rename(file)


def _end_with_parent() -> None:
    """Standard input ends when the worker does, however it died."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
