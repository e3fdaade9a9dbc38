"""Results as tables for people."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console

from allocator.wording import runs
from analyzer.outline import Matrix, Outline, Skipped
from analyzer.report import Analysis, ExpertsValue, LayerValue, MatrixResult
from analyzer.series import Series
from service.cli.chart import show_alphas
from service.cli.distributions import show_distributions
from service.cli.layout import or_dash, print_line, print_table
from service.cli.sizes import format_seconds, format_size
from service.cli.usage import Usage

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


def show_outline(console: Console, outline: Outline) -> None:
    """Stacks, the modules of their layers, and what is left out."""
    kind = outline.model_type or "no config.json"
    packed = f", quantised ({outline.quantisation})" if outline.quantisation else ""
    print_line(console, f"{outline.model}: {kind}{packed}, {len(outline.files)} file(s)")
    for stack in outline.stacks:
        print_table(
            console,
            f"stack {stack.name}: {stack.layers} layers at {stack.prefix}",
            ["module", "part", "role", "layers", "matrices", "out × in", "dtype", "bytes"],
            _module_rows([matrix for matrix in outline.matrices if matrix.stack == stack.name]),
        )
    print_table(
        console,
        "outside the blocks (read by analyze --all)",
        ["tensor", "out × in", "dtype", "bytes"],
        (
            (matrix.name, _shape(matrix.shape), matrix.dtype, f"{matrix.bytes:,}")
            for matrix in outline.matrices
            if matrix.stack is None
        ),
    )
    print_table(
        console,
        "left out",
        ["tensors", "tensor", "reason"],
        _skipped_rows(outline.skipped),
    )
    if outline.unreadable:
        print_line(console, f"cannot be measured: {outline.unreadable}")
    elif (cost := outline.estimate) is not None:
        print_line(
            console,
            f"a plan for all stacks reads {cost.matrices} matrices, {cost.bytes:,} bytes "
            f"(their files: {format_size(cost.file_bytes)}); on this CPU about "
            f"{format_seconds(cost.seconds)} to solve, in at most "
            f"{format_size(cost.peak_memory)} of memory",
        )


def show_analysis(console: Console, analysis: Analysis) -> None:
    """Every matrix, then every layer."""
    estimator = analysis.settings.estimator
    print_table(
        console,
        f"{analysis.model}: alpha of every matrix by {estimator}",
        [
            "stack",
            "layer",
            "module",
            "n",
            "alpha",
            "± nominal",
            "xmin",
            "tail",
            "KS",
            "stable rank",
            "status",
        ],
        (_matrix_row(matrix, estimator) for matrix in analysis.matrices),
    )
    show_distributions(console, analysis)
    show_layers(console, analysis)
    if console.is_terminal:
        show_alphas(console, analysis)


def show_layers(console: Console, analysis: Analysis) -> None:
    """The value of every layer, and of the experts in it."""
    aspect = analysis.settings.aspect
    print_table(
        console,
        "mean of every layer" + ("" if aspect == "none" else f", corrected by {aspect}"),
        ["stack", "layer", "alpha", "± nominal", "matrices"],
        (_layer_row(layer) for layer in analysis.layers),
    )
    print_table(
        console,
        "mean over the experts of every layer",
        ["stack", "layer", "experts", "sampled", "alpha", "± sampling"],
        (_experts_row(value) for value in analysis.experts),
    )


def show_series(console: Console, series: Series) -> None:
    """The alpha of every layer, or of every matrix outside one, in every checkpoint."""
    numbers = range(1, len(series.checkpoints) + 1)
    for number, checkpoint in zip(numbers, series.checkpoints, strict=True):
        revision = f" at {checkpoint.revision[:12]}" if checkpoint.revision else ""
        print_line(console, f"{number}: {checkpoint.model}{revision}")
    print_table(
        console,
        f"alpha of every layer by {series.settings.estimator}",
        ["stack", "layer", *map(str, numbers)],
        ((layer.stack, str(layer.layer), *map(or_dash, layer.alphas)) for layer in series.layers),
    )
    print_table(
        console,
        "of every matrix",
        ["tensor", *map(str, numbers)],
        ((matrix.name, *map(or_dash, matrix.alphas)) for matrix in series.matrices),
    )


def show_cache(console: Console, folder: str, rows: Sequence[Usage]) -> None:
    """What is kept for each model."""
    print_line(console, f"{sum(row['spectra'] for row in rows)} spectra in {folder}")
    print_table(
        console,
        "",
        ["model", "spectra", "MB", "precision", "newest"],
        (
            (
                row["model"], str(row["spectra"]), f"{row['bytes'] / 1e6:.1f}",
                ", ".join(row["precisions"]), row["newest"],
            )
            for row in rows
        ),
    )  # fmt: skip


def _module_rows(matrices: Sequence[Matrix]) -> Iterator[tuple[str, ...]]:
    def kind(matrix: Matrix) -> tuple[str, str, str, tuple[int, int], str]:
        module = (matrix.module or "").replace(f"experts.{matrix.expert}.", "experts.*.")
        return module, matrix.part or "", matrix.role, matrix.shape, matrix.dtype

    for (module, part, role, shape, dtype), group in groupby(sorted(matrices, key=kind), kind):
        found = list(group)
        layers = sorted({matrix.layer for matrix in found if matrix.layer is not None})
        size = sum(matrix.bytes for matrix in found)
        yield (
            module, part, role, runs(layers), str(len(found)), _shape(shape), dtype, f"{size:,}",
        )  # fmt: skip


def _skipped_rows(skipped: Sequence[Skipped]) -> Iterator[tuple[str, ...]]:
    """Every tensor left out; names that differ in numbers only share a row."""
    names = Counter((tensor.reason, _NUMBER.sub("*", tensor.tensor)) for tensor in skipped)
    for (reason, name), count in sorted(names.items()):
        yield str(count), name, reason


def _matrix_row(matrix: MatrixResult, estimator: str) -> tuple[str, ...]:
    fit, measures = matrix.fits[estimator], matrix.measures
    _, mark, part = matrix.name.partition("#")
    return (
        matrix.stack or "–",
        "–" if matrix.layer is None else str(matrix.layer),
        f"{matrix.module or matrix.tensor}{mark}{part}",
        str(matrix.eigenvalues),
        or_dash(fit.alpha),
        or_dash(fit.nominal_standard_error),
        or_dash(fit.xmin, ".3g"),
        or_dash(fit.tail, "d"),
        or_dash(fit.ks_distance),
        or_dash(measures.stable_rank if measures else None, ".1f"),
        fit.status,
    )


def _layer_row(layer: LayerValue) -> tuple[str, ...]:
    return (
        layer.stack, str(layer.layer), or_dash(layer.alpha),
        or_dash(layer.nominal_standard_error), str(layer.matrices),
    )  # fmt: skip


def _experts_row(value: ExpertsValue) -> tuple[str, ...]:
    return (
        value.stack, str(value.layer), str(value.experts), str(value.sampled),
        or_dash(value.alpha), or_dash(value.sampling_error),
    )  # fmt: skip


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(size) for size in shape)
