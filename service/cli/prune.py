"""`tailora prune`: delete what is old."""

from typing import Annotated

import typer

from service.cli.words import Json


def prune(
    older_than: Annotated[
        float, typer.Option(metavar="DAYS", min=0.0, help="Jobs that ended so many days ago.")
    ],
    spectra: Annotated[
        bool,
        typer.Option(
            "--spectra",
            help="Spectra and outlines of that age too: they are solved again if needed.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete old jobs with their events and documents from the service's ledger.

    What a job needs that has not ended stays. TAILORA_KEEP_DAYS does the same all the time.
    """
    import json
    from dataclasses import asdict

    from ledger import retention
    from service.cli.ownledger import own_ledger

    gone = retention.Pruned()
    for step in retention.prune(own_ledger(), older_than, with_spectra=spectra):
        gone += step
    if as_json:
        typer.echo(json.dumps(asdict(gone), indent=2))
    else:
        typer.echo(f"{gone.jobs} jobs, {gone.spectra} spectra and {gone.artifacts} files deleted")
