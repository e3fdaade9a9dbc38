"""The service's own parts: settings, database, broker, workers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from service.cli.checkup.finding import Finding

if TYPE_CHECKING:
    from ledger.access import Ledger
    from ledger.settings import Settings


def database(settings: "Settings") -> Iterator[Finding]:
    """Whether the database answers, at which version, and who works."""
    from ledger.access import Ledger
    from ledger.errors import DatabaseUnavailable
    from ledger.migrate import current, head

    ledger = Ledger(settings)
    where = ledger.database.url.render_as_string(hide_password=True)
    try:
        found = current(ledger.database)
    except DatabaseUnavailable:
        yield Finding(
            "database", "fail", f"{where} does not answer",
            "see that the database runs, and TAILORA_DATABASE_URL",
        )  # fmt: skip
        return
    if found is None and ledger.database.is_sqlite:
        yield Finding("database", "warn", f"{where} is not there yet", "`tailora serve` makes it")
        return
    if found != head():
        yield Finding(
            "database", "fail",
            f"{where} answers, but is at version {found or 'none'} and not {head()}",
            "run `tailora db upgrade`",
        )  # fmt: skip
        return
    yield Finding("database", "ok", f"{where} answers, at version {found}")
    yield _workers(ledger)


def _workers(ledger: "Ledger") -> Finding:
    from ledger.presence import live_workers

    with ledger.database.read() as connection:
        live = live_workers(connection, presence=ledger.settings.presence)
    if not live:
        return Finding(
            "workers", "warn", "none reported lately, so nothing is measured",
            "start `tailora serve`, or `tailora worker` and `tailora dispatcher`",
        )  # fmt: skip
    each = ", ".join(f"{worker.host} ({worker.devices})" for worker in live)
    return Finding("workers", "ok", f"{len(live)}: {each}")


def broker(settings: "Settings") -> Iterator[Finding]:
    """Whether messages can be sent."""
    from service.cli.health import broker_answers

    yield Finding("broker", "ok", broker_answers(settings))
