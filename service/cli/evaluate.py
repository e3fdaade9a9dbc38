"""`tailora eval`: how good a trained adapter is on a file of samples."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.words import Adapter, Device, Json

if TYPE_CHECKING:
    from trainer.assessment import Assessment

Data = Annotated[
    str,
    typer.Option(
        metavar="FILE", help="Samples, all held out: .jsonl, .csv, .parquet or a saved dataset."
    ),
]
BaseName = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="BASE", help="The base, where it is not where the adapter says."
    ),
]
BaseOnly = Annotated[
    bool, typer.Option("--base-only", help="Measure the base without the adapter.")
]
ExactMatch = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, help="Generate the answers of the first N samples and compare them."
    ),
]
NewTokens = Annotated[
    int, typer.Option(metavar="N", min=1, help="Tokens of a generated answer at most.")
]
Draws = Annotated[
    int,
    typer.Option(metavar="N", min=1, help="LoRA Dropout: average probabilities over N masks."),
]
Batch = Annotated[int, typer.Option(metavar="N", min=1, help="Sequences at once.")]
Length = Annotated[
    int | None,
    typer.Option(metavar="N", min=8, help="Tokens of a sample at most; else as trained."),
]


def evaluate(
    adapter: Adapter,
    data: Data,
    model: BaseName = None,
    base_only: BaseOnly = False,
    exact_match: ExactMatch = 0,
    new_tokens: NewTokens = 128,
    draws: Draws = 1,
    batch: Batch = 8,
    length: Length = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a trained adapter (its folder, or a run's) on samples that it has not seen."""
    from service.cli.output import warn
    from trainer.exports.base import silence

    silence()
    from trainer.assess import assess

    found = assess(
        adapter, data, base=model, base_only=base_only, exact_match=exact_match,
        new_tokens=new_tokens, draws=draws, batch=batch, length=length, device=device,
    )  # fmt: skip
    warn(found.warnings)
    typer.echo(found.model_dump_json(indent=2) if as_json else "\n".join(_lines(found)))


def _lines(found: "Assessment") -> list[str]:
    measured = found.evaluation
    what = f"{found.base}, without the adapter," if found.base_only else found.adapter
    by = f"by {found.classes_by}" if found.classes_by else "by likelihood"
    unit = f"nats a token, {measured.tokens:,} tokens" if measured.tokens else "nats a sample"
    drawn = f", mean of {measured.draws} masks" if measured.draws else ""
    rows: list[tuple[str, float | None, str]] = [
        ("loss", measured.loss, unit),
        ("perplexity", measured.perplexity, ""),
        ("accuracy", measured.accuracy, by),
        ("  by character", measured.accuracy_by_character, "divided by the choice's characters"),
        ("  by token", measured.accuracy_by_token, "divided by its tokens"),
        ("macro-F1", measured.macro_f1, ""),
        ("exact match", measured.exact_match, f"{measured.exact_match_samples} answers"),
    ]
    lines = [f"{what} on {found.report.name}: {measured.samples:,} samples ({found.form}){drawn}"]
    lines += found.report.lines()[1:]
    lines += [
        f"  {name:<16}{value:<10.4f}{note}".rstrip()
        for name, value, note in rows
        if value is not None
    ]
    if measured.questions_cut:
        lines.append(f"  {measured.questions_cut:,} questions did not fit whole; see --length")
    return lines
