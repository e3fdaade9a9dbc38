"""From a checked body to a training's job: plans, data and settings looked at before it is written.

What cannot be is refused here where it can be known without torch and without reading the data.
"""

from collections.abc import Mapping, Sequence

from allocator.plan import Plan
from ledger.access import Ledger
from ledger.errors import Conflict
from ledger.jobs import get
from ledger.reach import Reach
from ledger.results import get_result
from service.context import Caller
from service.datasets.resolve import Found, resolve
from trainer.dataset.columns import form_of, task_of
from trainer.presets import make_recipe
from trainer.recipe import Task
from worker.orders import Source
from worker.requests import RunWords
from worker.submitting import Key, Submitted
from worker.submitting_runs import RunSubmission, submit_run

UNREAD = "0" * 64
"""In place of a sha256 that is not known before data is read."""


def accept_run(
    ledger: Ledger,
    caller: Caller,
    kind: str,
    words: RunWords,
    plan_ids: Sequence[str],
    labels: Mapping[str, str],
    key: Key | None,
) -> Submitted:
    """Submit. Raises NotFound, Conflict, InvalidRecipe, InvalidData or another LedgerError."""
    names = {"train": words.dataset, "held_out": words.held_out}
    with ledger.database.read() as connection:
        data = {
            name: resolve(ledger, connection, caller.reads, given)
            for name, given in names.items()
            if given is not None
        }
    for plan_id in plan_ids:
        _check(_plan(ledger, caller.reads, plan_id), words, data["train"])
    return submit_run(
        ledger,
        RunSubmission(
            kind,
            caller.owner,
            words,
            plan_ids,
            {name: _source(found) for name, found in data.items()},
            labels,
            caller.reads,
            key,
            limited=caller.limited,
        ),
    )


def _plan(ledger: Ledger, reads: Reach, plan_id: str) -> Plan:
    with ledger.database.read() as connection:
        job = get(connection, reads, "plan", plan_id)
        document = get_result(connection, ledger.artifacts, plan_id)
    if job["state"] != "succeeded" or document is None:
        raise Conflict(f"{plan_id} is {job['state']}; train once it has succeeded")
    return Plan.model_validate_json(document)


def _check(plan: Plan, words: RunWords, train: Found) -> None:
    task: Task = task_of(form_of(train.columns)) if train.columns else "language"
    make_recipe(
        plan,
        task=task,
        base={"path": plan.model or "", "weights": plan.weights},
        data={"train": train.name, "sums": (train.sha256 or UNREAD,)},
        preset=words.preset,
        changes=words.settings,
    )


def _source(found: Found) -> Source:
    return Source(found.name, found.format, found.id, found.sha256, found.bytes)
