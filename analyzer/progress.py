"""One pass over the matrices of a source, and how far it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analyzer.outline import Matrix
from analyzer.run import Measured, Measurer, Run
from analyzer.source import Source


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an analysis is."""

    done: int
    total: int
    bytes_done: int
    bytes_total: int
    matrix: str
    alpha: float | None


Report = Callable[[Progress], None]


def source_hashes(
    source: Source, matrices: Sequence[Matrix], progress: Report | None
) -> dict[str, str]:
    """The sha256 of every file of a source, for a pass over these matrices."""
    total = sum(matrix.bytes for matrix in matrices)
    hashes = {}
    for file in source.files:
        if progress is not None:
            progress(Progress(0, len(matrices), 0, total, f"checksum of {file}", None))
        hashes[file] = source.sha256(file)
    return hashes


def measured(
    run: Run[Measured],
    matrices: Sequence[Matrix],
    measurer: Measurer[Measured],
    progress: Report | None,
) -> tuple[Measured, ...]:
    """What the run finds in each matrix, in their order. Raises AnalyzerError."""
    total = sum(matrix.bytes for matrix in matrices)
    found: dict[str, Measured] = {}
    done = 0
    for matrix, result in run.results(matrices):
        found[matrix.name] = result
        done += matrix.bytes
        if progress is not None:
            alpha = measurer.alpha(result)
            progress(Progress(len(found), len(matrices), done, total, matrix.name, alpha))
    return tuple(found[matrix.name] for matrix in matrices)
