"""From a draft with all of its bytes to a dataset, in one transaction, or to nothing."""

from ledger import datasets
from ledger.access import Ledger
from ledger.datasets import Dataset, NewDataset
from ledger.drafts import Draft
from ledger.idempotency import Replay, recall, remember
from service.context import Caller
from service.datasets.words import Words
from service.problems import Problem
from trainer.dataset.look import Look, look
from worker.submitting import Key

CREATED = 201


class _Raced(Exception):
    """Another request with the same idempotency key was first."""


def check_sum(words: Words, draft: Draft) -> None:
    """Refuse bytes that are not those that were meant. Raises Problem."""
    if words.sha256 - {draft.sha256}:
        raise Problem(
            "checksum_mismatch",
            f"the {draft.size} bytes that came have the sha256 {draft.sha256}, not that which was "
            "given; send them again",
        )


def keep(
    ledger: Ledger, caller: Caller, words: Words, draft: Draft, key: Key | None
) -> tuple[Dataset, bool]:
    """The dataset, and whether an earlier request with the key made it.

    Raises InvalidData where it cannot be trained on, or LedgerError.
    """
    seen = look(draft.path, words.format, words.name)
    try:
        return _keep(ledger, caller, words, draft, seen, key)
    except _Raced:
        return _keep(ledger, caller, words, draft, seen, key)


def _keep(
    ledger: Ledger, caller: Caller, words: Words, draft: Draft, seen: Look, key: Key | None
) -> tuple[Dataset, bool]:
    with ledger.database.write() as connection:
        if key is not None:
            before = recall(connection, caller.owner, key.text, key.body_hash)
            if before is not None:
                return datasets.get(connection, caller.reads, before.job_id), True
        if caller.limited:
            datasets.take_room(connection, ledger.settings, caller.owner, draft.size)
        artifact = ledger.artifacts.put_file(connection, draft.path, draft.sha256)
        new = NewDataset(
            caller.owner,
            words.name,
            words.format,
            draft.size,
            artifact,
            seen.columns,
            words.labels,
        )
        dataset_id = datasets.create(connection, new)
        if key is not None:
            replay = Replay(dataset_id, CREATED)
            if not remember(connection, caller.owner, key.text, key.body_hash, replay):
                raise _Raced
        return datasets.get(connection, caller.changes, dataset_id), False


def remove(ledger: Ledger, caller: Caller, dataset_id: str) -> None:
    """Delete a dataset, and its bytes unless somebody else has the same.

    Raises NotFound, or Conflict where a job needs it that has not ended.
    """
    with ledger.database.write() as connection:
        artifact = datasets.remove(connection, caller.changes, dataset_id)
    with ledger.database.write() as connection:
        ledger.artifacts.drop_unused(connection, 1, {artifact})
