"""`tailora plot`: a figure of a document, as a file."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.words import Cache, Device, Quiet

Kind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help="Of an analysis: esd, esds, alphas, checkpoints. Of a plan: experts, plans, "
        "stability, budgets. Of a training: training, load. Of a comparison: comparison.",
    ),
]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="A file of `tailora analyze --out` or `tailora plan --out` (two of them for plans, "
        "several or a series for checkpoints), a run's folder or its metrics.jsonl, or a "
        "comparison's folder or its comparison.json; - is standard input. With TAILORA_URL also "
        "the id of a job.",
    ),
]
OutFigure = Annotated[
    Path,
    typer.Option(
        "--out", metavar="FILE", help="Its suffix says the format: svg, png, pdf, csv, json."
    ),
]
ThemeOption = Annotated[str, typer.Option("--theme", help="light or dark.")]
WidthOption = Annotated[
    str, typer.Option("--width", help="single (3.4 in) or double (7 in): columns of a paper.")
]
ECharts = Annotated[
    bool, typer.Option("--echarts", help="Of a .json file: the option of Apache ECharts.")
]

_OWN = "Of one kind of figure"
MatrixOption = Annotated[
    str | None,
    typer.Option("--matrix", metavar="NAME", help="esd: which matrix.", rich_help_panel=_OWN),
]
LayerOption = Annotated[
    int, typer.Option("--layer", metavar="NUMBER", help="esds: which.", rich_help_panel=_OWN)
]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", metavar="NAME", help="esds: whose layer.", rich_help_panel=_OWN),
]
Bins = Annotated[
    int, typer.Option("--bins", metavar="NUMBER", help="esd, esds.", rich_help_panel=_OWN)
]
MarchenkoPastur = Annotated[
    bool,
    typer.Option(
        "--marchenko-pastur", help="esd: the law of a random matrix beside it.",
        rich_help_panel=_OWN,
    ),
]  # fmt: skip
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="MODEL", rich_help_panel=_OWN,
        help="esd, esds: where the weights are now; by default where they were analysed.",
    ),
]  # fmt: skip
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape", metavar="SHAPE", rich_help_panel=_OWN,
        help="experts: compare with MoLA's shape, such as triangle or 2468; may be repeated.",
    ),
]  # fmt: skip
StepOption = Annotated[
    int | None,
    typer.Option(
        "--step", metavar="NUMBER", help="load: by default the last.", rich_help_panel=_OWN
    ),
]
ModuleOption = Annotated[
    str | None,
    typer.Option(
        "--module", metavar="NAME", help="load: only modules such as q_proj.", rich_help_panel=_OWN
    ),
]


def plot(
    kind: Kind,
    sources: Sources,
    out: OutFigure,
    theme: ThemeOption = "light",
    width: WidthOption = "double",
    echarts: ECharts = False,
    matrix: MatrixOption = None,
    layer: LayerOption = 0,
    stack: StackOption = None,
    bins: Bins = 100,
    marchenko_pastur: MarchenkoPastur = False,
    model: ModelOption = None,
    shape: Shapes = None,
    step: StepOption = None,
    module: ModuleOption = None,
    device: Device = "auto",
    cache: Cache = None,
    quiet: Quiet = False,
) -> None:
    """Draw a figure of an analysis, a plan, a training or a comparison."""
    from service.cli.output import check_out, write_bytes
    from service.cli.plotting import Words, make_figure, rendering_of
    from service.figures.catalogue import source_of

    source_of(kind)
    how = rendering_of(out, theme, width, echarts)
    how.check()
    check_out(out)
    words = Words(
        matrix=matrix, layer=layer, stack=stack, bins=bins, marchenko_pastur=marchenko_pastur,
        model=model, shapes=tuple(shape or ()), step=step, module=module, device=device,
        cache=cache, quiet=quiet,
    )  # fmt: skip
    write_bytes(out, how.render(make_figure(kind, sources, words)))
