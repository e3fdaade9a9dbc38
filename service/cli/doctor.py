"""`tailora doctor`: is everything in order here, and what to do where it is not."""

from typing import TYPE_CHECKING, Any

import typer

from service.cli.words import Json

if TYPE_CHECKING:
    from ledger.settings import Settings
    from service.cli.checkup.finding import Finding

_SECONDS = 15.0
"""A look that takes longer has failed."""

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(as_json: Json = False) -> None:
    """Look at settings, Python, GPUs, disks, Hub, database and workers; exit 1 if one fails."""
    import json

    from service.cli.failures import FAILED

    settings, findings = _settings()
    findings += _machine(settings)
    if settings is not None:
        findings += _ledger(settings)
    shown = settings.shown if settings is not None else {}
    if as_json:
        typer.echo(json.dumps(_document(findings, shown), indent=2))
    else:
        _print(findings, shown)
    if any(found.status == "fail" for found in findings):
        raise typer.Exit(FAILED)


def _settings() -> "tuple[Settings | None, list[Finding]]":
    """The settings where they can be read, and what there is to say of them."""
    from service.cli.checkup.finding import Finding
    from service.cli.failures import explained

    try:
        from ledger.settings import load_settings

        return load_settings(), []
    except ModuleNotFoundError as error:
        if explained(error) is None:
            raise
        return None, [
            Finding(
                "server", "warn", f"{error.name} is not installed, so no service runs here",
                "pip install 'tailora[server]', unless a service elsewhere is used",
            )
        ]  # fmt: skip
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        return None, [Finding("settings", "fail", line, "correct it in the environment")]


def _machine(settings: "Settings | None") -> "list[Finding]":
    from analyzer.store import default_folder
    from service.cli.checkup import machine, network
    from service.cli.checkup.finding import looked

    store = default_folder()
    return [
        *looked("python", _SECONDS, lambda: list(machine.python())),
        *looked("torch", machine.TORCH_SECONDS + 5, lambda: list(machine.torch())),
        *looked("store", _SECONDS, lambda: list(machine.room("store", store, "TAILORA_CACHE"))),
        *looked("hub", _SECONDS, lambda: list(network.hub())),
        *looked("service", _SECONDS, lambda: list(network.service())),
    ]


def _ledger(settings: "Settings") -> "list[Finding]":
    from service.cli.checkup import ledger, machine
    from service.cli.checkup.finding import looked

    return [
        *looked(
            "data", _SECONDS, lambda: list(machine.room("data", settings.data, "TAILORA_DATA"))
        ),
        *looked("database", _SECONDS, lambda: list(ledger.database(settings))),
        *looked("broker", _SECONDS, lambda: list(ledger.broker(settings))),
    ]


def _document(findings: "list[Finding]", shown: dict[str, str]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "ok": all(found.status != "fail" for found in findings),
        "checks": [asdict(found) for found in findings],
        "settings": shown,
    }


def _print(findings: "list[Finding]", shown: dict[str, str]) -> None:
    from rich.text import Text

    from service.cli.layout import print_line
    from service.cli.output import stdout

    console = stdout()
    for found in findings:
        advice = f"; {found.advice}" if found.advice else ""
        line = Text(f"{found.status:<6}", style=_COLOURS[found.status])
        console.print(line.append(f"{found.name:<10}{found.detail}{advice}", style="default"),
                      soft_wrap=True, highlight=False)  # fmt: skip
    if shown:
        print_line(console, "settings:")
    for name, value in shown.items():
        print_line(console, f"  {name}={value}")
