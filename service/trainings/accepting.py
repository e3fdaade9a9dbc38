"""From a checked body to a training's job: plans, data and settings looked at before it is written.

What cannot be is refused here where it can be known without torch and without reading the data.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from allocator.plan import Plan
from ledger.access import Ledger
from ledger.errors import Conflict
from ledger.jobs import get
from ledger.reach import Reach
from ledger.results import get_result
from service.context import Caller
from service.datasets.resolve import Found, resolve
from service.trainings.limits import check_limits
from trainer.compare.arms import comparison_of
from trainer.dataset.columns import form_of, task_of
from trainer.presets import UNREAD, make_recipe
from trainer.recipe import Task
from worker.orders import Source
from worker.requests import ComparisonWords, RunWords, TrainingWords
from worker.submitting import Key, Submitted
from worker.submitting_runs import RunSubmission, submit_run


def accept_training(
    ledger: Ledger, caller: Caller, words: TrainingWords, labels: Mapping[str, str], key: Key | None
) -> Submitted:
    """Submit. Raises NotFound, Conflict, InvalidRecipe, InvalidData or another LedgerError."""
    data = _data(ledger, caller.reads, words)
    plan = _plan(ledger, caller.reads, words.plan_id)
    recipe = make_recipe(
        plan, **_looked_at(plan, data), preset=words.preset, changes=words.settings
    )  # the worker makes it anew, of the data itself
    check_limits(recipe)
    return _submit(ledger, caller, "training", words, [words.plan_id], data, labels, key)


def accept_comparison(
    ledger: Ledger,
    caller: Caller,
    words: ComparisonWords,
    labels: Mapping[str, str],
    key: Key | None,
) -> Submitted:
    """Submit. Raises what `accept_training` does, and for arms that cannot be."""
    data = _data(ledger, caller.reads, words)
    plans = {name: _plan(ledger, caller.reads, plan_id) for name, plan_id in words.plans.items()}
    comparison = comparison_of(
        plans,
        **_looked_at(next(iter(plans.values())), data),
        against=words.against,
        seeds=words.seeds,
        preset=words.preset,
        changes=words.settings,
        reference=words.reference,
    )
    for arm in comparison.arms:
        check_limits(arm.recipe)
    plan_ids = list(words.plans.values())
    return _submit(ledger, caller, "comparison", words, plan_ids, data, labels, key)


def _submit(
    ledger: Ledger,
    caller: Caller,
    kind: str,
    words: RunWords,
    plan_ids: Sequence[str],
    data: Mapping[str, Found],
    labels: Mapping[str, str],
    key: Key | None,
) -> Submitted:
    sources = {
        name: Source(found.name, found.format, found.id, found.sha256, found.bytes)
        for name, found in data.items()
    }
    asked = RunSubmission(
        kind, caller.owner, words, plan_ids, sources, labels, caller.reads, key, caller.limited
    )
    return submit_run(ledger, asked)


def _data(ledger: Ledger, reads: Reach, words: RunWords) -> dict[str, Found]:
    names = {"train": words.dataset, "held_out": words.held_out}
    with ledger.database.read() as connection:
        return {
            name: resolve(ledger, connection, reads, given)
            for name, given in names.items()
            if given is not None
        }


def _plan(ledger: Ledger, reads: Reach, plan_id: str) -> Plan:
    with ledger.database.read() as connection:
        job = get(connection, reads, "plan", plan_id)
        document = get_result(connection, ledger.artifacts, plan_id)
    if job["state"] != "succeeded" or document is None:
        raise Conflict(f"{plan_id} is {job['state']}; train once it has succeeded")
    return Plan.model_validate_json(document)


def _looked_at(plan: Plan, data: Mapping[str, Found]) -> dict[str, Any]:
    """What a recipe is made of, as far as it is known without reading the data."""
    train = data["train"]
    task: Task = task_of(form_of(train.columns)) if train.columns else "language"
    return {
        "task": task,
        "base": {"path": plan.model or "", "weights": plan.weights},
        "data": {"train": train.name, "sums": (train.sha256 or UNREAD,)},
    }
