"""The process of one training or comparison: `python -m worker.run FOLDER`, once for each device.

It reads `order.json`, and leaves `result.json`, or `error-RANK.json` where it failed; what it has
to tell on the way are lines of `said.jsonl`. It ends with the process that started it.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

ORDER, RESULT, SAID, LOCK = "order.json", "result.json", "said.jsonl", "run.lock"
OUT, METRICS, ASKED, RUNS = "out", "metrics.jsonl", "asked.json", "runs"
"""As `trainer` names them, which is not imported before it is needed."""

ERROR = "error-*.json"
COMMAND = "worker.run"
"""The module, as a process's command line has it."""

WAIT_SECONDS = 60.0
"""For one before us, whose worker died, to be gone."""

Say = Callable[[str], None]


def main(folder: Path) -> int:
    """Do what the folder's order says; the exit status.

    Being asked to stop counts from the first step on: before it there is nothing to keep.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    rank = int(os.environ.get("RANK", "0"))
    lock = FileLock(folder / LOCK)
    if rank == 0:
        lock.acquire(timeout=WAIT_SECONDS)
    try:
        order = json.loads((folder / ORDER).read_bytes())
        result = KINDS[order["kind"]](order, folder / OUT, _speaker(folder / SAID))
    except Exception as error:
        from worker.codes import error_of

        traceback.print_exc()
        _write(folder / ERROR.replace("*", str(rank)), error_of(error))
        return 1
    if rank == 0:
        _write(folder / RESULT, result)
    return 0


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
        data=order["data"],
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
        data=order["data"],
        against=words["against"],
        seeds=words["seeds"],
        preset=words["preset"],
        changes=words["settings"],
        reference=words["reference"],
        keep_adapters=False,
    )
    found = compare(comparison, out, say)
    return {"status": found.status, "comparison": found.model_dump(mode="json", by_alias=True)}


KINDS: dict[str, Callable[[dict[str, Any], Path, Say], dict[str, Any]]] = {
    "training": _train,
    "comparison": _compare,
}


def _speaker(file: Path) -> Say:
    def say(line: str) -> None:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"message": line}) + "\n")

    return say


def _write(file: Path, content: dict[str, Any]) -> None:
    draft = file.with_name(f".{file.name}")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.rename(file)


def _end_with_parent() -> None:
    """Standard input ends when the worker does, however it died."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
