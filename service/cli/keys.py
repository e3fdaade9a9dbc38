"""`tailora keys`: who may use the service."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.words import Json

if TYPE_CHECKING:
    from ledger.keys import ApiKey

keys = typer.Typer(help="Make, list or revoke API keys.", no_args_is_help=True)

_NAME = re.compile(r"\w[\w.@-]{0,63}", re.ASCII)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the key.")],
    owner: Annotated[
        str | None,
        typer.Option(help="Whose jobs it sees; several keys may share one. By default NAME."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="read, write (and read), admin (both, of every owner) or gated (models that are "
            "gated or private); may be repeated. By default write."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    from ledger.keys import create_key
    from service.cli.ownledger import own_ledger

    whose = owner if owner is not None else name
    for option, value in (("NAME", name), ("--owner", whose)):
        _check_name(option, value)
    scopes = _scopes(scope)
    ledger = own_ledger()
    pepper = ledger.settings.key_pepper.get_secret_value()
    with ledger.database.write() as connection:
        text, made = create_key(connection, name, whose, pepper, scopes)
    if as_json:
        _print_json({"key": text, **_shown(made)})
    else:
        typer.echo(text)
    typer.echo(f"keep it now: {made.name} ({made.id}) is not shown again", err=True)
    if not pepper:
        typer.echo(
            "it was made without TAILORA_KEY_PEPPER, so a service that has one does not know it",
            err=True,
        )


@keys.command("list")
def list_(as_json: Json = False) -> None:
    """List keys without the keys themselves, oldest first."""
    from ledger.keys import list_keys
    from service.cli.layout import print_line, print_table
    from service.cli.output import stdout
    from service.cli.ownledger import own_ledger

    with own_ledger().database.read() as connection:
        found = [_shown(key) for key in list_keys(connection)]
    if as_json:
        _print_json({"data": found})
    elif not found:
        print_line(stdout(), "no keys; make one with `tailora keys create NAME`")
    else:
        columns = ["id", "name", "owner", "scopes", "created_at", "revoked_at"]
        rows = ([key[column] or "–" for column in columns] for key in found)
        print_table(stdout(), "", [column.removesuffix("_at") for column in columns], rows)


@keys.command()
def revoke(
    name_or_id: Annotated[
        str, typer.Argument(metavar="NAME_OR_ID", help="One key by its id, or all of a name.")
    ],
) -> None:
    """Let a key open nothing any more, from the next request on."""
    from ledger.keys import revoke_key
    from service.cli.ownledger import own_ledger

    with own_ledger().database.write() as connection:
        revoked = revoke_key(connection, name_or_id)
    for key_id in revoked:
        typer.echo(f"{key_id} revoked")


def _check_name(option: str, value: str) -> None:
    from analyzer.text import shown
    from service.cli.failures import CommandError

    if not _NAME.fullmatch(value):
        raise CommandError(
            f"{option} {shown(value, 80)} cannot be; use 1 to 64 letters, digits and . _ @ -"
        )


def _scopes(given: list[str] | None) -> frozenset[str]:
    from analyzer.text import shown
    from ledger.keys import DEFAULT_SCOPES, SCOPES
    from service.cli.failures import CommandError

    wrong = next((each for each in given or () if each not in SCOPES), None)
    if wrong is not None:
        raise CommandError(f"there is no scope {shown(wrong, 40)}; use {', '.join(SCOPES)}")
    return frozenset(given) if given else DEFAULT_SCOPES


def _shown(key: "ApiKey") -> dict[str, str | None]:
    from service.jobs.views import stamp

    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "scopes": ",".join(sorted(key.scopes)),
        "created_at": stamp(key.created_at),
        "revoked_at": stamp(key.revoked_at),
    }


def _print_json(found: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(found, indent=2))
