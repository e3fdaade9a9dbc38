"""Datasets as a form offers them, and how one is brought here."""

from dataclasses import dataclass
from typing import Any

from ledger.access import Ledger
from service.context import Caller
from service.datasets.endpoints import PATH, list_datasets
from trainer.dataset.columns import NEEDED

OFFERED = 100
"""Of each source, the newest uploads and the first names."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A dataset to choose."""

    value: str
    """What a request calls it."""

    name: str
    source: str
    bytes: int
    task: str | None
    """None where it is known once a worker has read it."""

    error: str | None
    """Why it cannot be trained on."""


@dataclass(frozen=True, slots=True)
class Offers:
    """All that the caller may train on, and how to add to it."""

    data: tuple[Offer, ...]
    more: bool
    """Whether there are others, which only a program can name."""

    largest: int
    """Bytes of an upload at most; 0 where there are none."""

    forms: tuple[tuple[str, str], ...]
    """Columns that data may have, with the task."""

    address: str


def offers_to(ledger: Ledger, caller: Caller) -> Offers:
    """What the API lists for the caller: own uploads, then what the operator registered."""
    uploaded = list_datasets(ledger, caller, "uploaded", OFFERED, None)
    registered = list_datasets(ledger, caller, "registered", OFFERED, None)
    return Offers(
        data=tuple(_offer(each) for each in (*uploaded["data"], *registered["data"])),
        more=uploaded["has_more"] or registered["has_more"],
        largest=ledger.settings.dataset_bytes,
        forms=tuple((form, " + ".join(columns)) for form, columns in NEEDED.items()),
        address=PATH,
    )


def _offer(document: dict[str, Any]) -> Offer:
    return Offer(
        value=document["id"] or document["name"],
        name=document["name"],
        source=document["source"],
        bytes=document["bytes"],
        task=document["task"],
        error=document["error"],
    )
