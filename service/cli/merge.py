"""`tailora merge`: an adapter with one expert everywhere, added to its base model."""

import typer

from service.cli.words import Adapter, BaseModelName, OutFolder


def merge(adapter: Adapter, model: BaseModelName, out: OutFolder) -> None:
    """Merge an adapter with one expert everywhere into its base model; exact."""
    from trainer.exports.base import silence

    silence()
    from trainer.exports.merge import merge as merge_adapter

    found = merge_adapter(adapter, model, out)
    beside = "with its tokenizer" if found.tokenizer else "which has no tokenizer"
    typer.echo(
        f"{found.modules} modules merged into the base model, {beside}; "
        f"written in {found.dtype} to {out}"
    )
