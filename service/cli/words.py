"""The words of the command line: one definition for each option, whichever command has it."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A Hub id (org/name or org/name@revision), a folder, or a file."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write the JSON document to FILE.")
]
Adapter = Annotated[
    str,
    typer.Argument(
        metavar="ADAPTER", help="A trained adapter: the folder that was saved, or a Hub id."
    ),
]
BaseModelName = Annotated[
    str,
    typer.Option(
        "--model", metavar="MODEL", help="The base model that it is for: a folder or a Hub id."
    ),
]
OutFolder = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="The folder to write; new, or empty.")
]
Nearest = Annotated[
    bool,
    typer.Option("--nearest", help="Where the form cannot say the plan, take the nearest it can."),
]
Order = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which values a score file holds: alphapruning, farms, layer, or a block's module "
        "names with commas.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", metavar="DIR", envvar="TAILORA_CACHE",
        help="Where spectra are kept (by default in the user's cache folder).", show_default=False,
    ),
]  # fmt: skip

_MEASURE = "How to measure"
Estimator = Annotated[
    str,
    typer.Option(
        help="hill, ks, peak or peak_as_released (the last two solve in float64).",
        rich_help_panel=_MEASURE,
    ),
]
AspectOption = Annotated[
    str,
    typer.Option(
        "--aspect", help="Correct for shape: none, marchenko_pastur or subsample.",
        rich_help_panel=_MEASURE,
    ),
]  # fmt: skip
SampleRows = Annotated[
    int,
    typer.Option(
        "--sample-rows", metavar="NUMBER", help="subsample: short side of a window.",
        rich_help_panel=_MEASURE,
    ),
]  # fmt: skip
SampleRatio = Annotated[
    float,
    typer.Option(
        "--sample-ratio", metavar="NUMBER", help="subsample: long side over short side.",
        rich_help_panel=_MEASURE,
    ),
]  # fmt: skip
SampleStarts = Annotated[
    int,
    typer.Option(
        "--sample-starts", metavar="NUMBER", help="subsample: windows along each side.",
        rich_help_panel=_MEASURE,
    ),
]  # fmt: skip
WeightingOption = Annotated[
    str,
    typer.Option(
        "--weighting", help="Mean over a block's matrices: equal or parameters.",
        rich_help_panel=_MEASURE,
    ),
]  # fmt: skip
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision", help="auto, float32 or float64 arithmetic.", rich_help_panel=_MEASURE
    ),
]
SolverOption = Annotated[
    str, typer.Option("--solver", help="gram or svd.", rich_help_panel=_MEASURE)
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_MEASURE)]

_READ = "How to read"
Memory = Annotated[
    str,
    typer.Option(
        metavar="SIZE", help="Bytes read ahead of the solver at most, e.g. 500MB or 4GB.",
        rich_help_panel=_READ,
    ),
]  # fmt: skip
Ranged = Annotated[
    bool | None,
    typer.Option(
        "--ranged/--verified",
        help="From the Hub read only what is needed (which cannot be checked), or whole files "
        "with their checksum; by default whole where most of a file is needed.",
        show_default=False, rich_help_panel=_READ,
    ),
]  # fmt: skip

_CHOOSE = "Which part of the model"
Modules = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="Only these modules, e.g. q_proj,v_proj.", rich_help_panel=_CHOOSE
    ),
]
StackOption = Annotated[
    str | None,
    typer.Option(
        "--stack", metavar="NAMES", help="Which stacks: text, vision, encoder, …, or all.",
        rich_help_panel=_CHOOSE,
    ),
]  # fmt: skip
