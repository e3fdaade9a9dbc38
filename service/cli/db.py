"""`tailora db`: the tables of the ledger."""

import typer

db = typer.Typer(help="Make or check the service's database tables.", no_args_is_help=True)


@db.command()
def upgrade() -> None:
    """Bring the database to this program's version; two at once do no harm."""
    from ledger.database import Database
    from ledger.migrate import upgrade as upgrade_tables
    from ledger.settings import load_settings

    before, after = upgrade_tables(Database.of(load_settings()))
    if before == after:
        typer.echo(f"the database is at version {after} already")
    else:
        typer.echo(f"the database went from version {before or 'none'} to {after}")


@db.command()
def check() -> None:
    """Exit 0 only where the database is at this program's version."""
    from ledger.migrate import head
    from service.cli.ownledger import own_ledger

    own_ledger()
    typer.echo(f"the database is at version {head()}, which this program needs")
