"""`tailora to-lora`: mixtures as a plain LoRA of their mean gates, and what that costs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.words import Adapter, BaseModelName, Device, Json, OutFolder

if TYPE_CHECKING:
    from trainer.exports.to_lora import LoraExport

Data = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="Texts to measure on: .jsonl with a column text, or prompt and completion; or .txt "
        "with one text a line.",
    ),
]
MaxLength = Annotated[
    int,
    typer.Option("--max-length", metavar="TOKENS", min=2, help="Longer texts are cut to this."),
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", metavar="NUMBER", min=1, help="Texts at once.")
]


def to_lora(
    adapter: Adapter,
    model: BaseModelName,
    data: Data,
    out: OutFolder,
    max_length: MaxLength = 512,
    batch_size: BatchSize = 8,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Export an adapter as a plain LoRA of its mean gates, and measure what that costs."""
    from service.cli.output import warn
    from trainer.exports.base import silence

    silence()
    from trainer.exports.to_lora import to_lora as export

    found = export(
        adapter, model, data, out, max_length=max_length, batch_size=batch_size, device=device
    )
    warn(found.warnings)
    typer.echo(found.model_dump_json(indent=2) if as_json else _table(found, out))


def _table(found: "LoraExport", out: Path) -> str:
    return "\n".join(
        (
            f"{found.modules} modules written as a plain LoRA to {out}",
            f"mean loss per token over {found.tokens:,} tokens of {found.texts:,} texts:",
            f"  base     {found.base_loss:.4f}",
            f"  mixture  {found.mixture_loss:.4f}",
            f"  LoRA     {found.lora_loss:.4f}",
            f"  gap      {found.gap:+.4f}  (LoRA - mixture: what the export costs)",
            f"largest rank {found.largest_rank}; for vLLM: --max-lora-rank "
            f"{found.largest_rank}, or the next larger one that it offers",
        )
    )
