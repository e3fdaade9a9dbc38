"""The two calls that most users need."""

from pathlib import Path
from typing import Any

from analyzer.analyze import analyze as analyze_source
from analyzer.estimate import estimate
from analyzer.options import DEFAULT_MEMORY, Options
from analyzer.outline import Outline
from analyzer.progress import Report
from analyzer.report import Analysis
from analyzer.scan import outline as scan_outline
from analyzer.source import Source, open_source
from analyzer.store import FolderStore, default_folder
from analyzer.units import locations


def outline(model: str | Path, *, hashes: bool = False, cache: str | Path | None = None) -> Outline:
    """What a model holds, from headers alone.

    `model` is a folder, a .safetensors file, or a Hub id. With `hashes` the weight files are
    hashed as well (remembered in `cache`), so that a plan made from the outline names them.
    Raises AnalyzerError.
    """
    source = open_source(str(model), FolderStore(Path(cache) if cache else default_folder()))
    found = scan_outline(source)
    return with_hashes(found, source) if hashes else found


def with_estimate(found: Outline, source: Source, *, memory: int = DEFAULT_MEMORY) -> Outline:
    """The outline with what reading and solving its adaptable matrices takes."""
    matrices = [matrix for matrix in found.matrices if matrix.role == "adaptable"]
    files = {location.file for matrix in matrices for location in locations(matrix).values()}
    size = sum(source.file(file).size for file in files)
    return found.model_copy(update={"estimate": estimate(matrices, size, memory=memory)})


def with_hashes(found: Outline, source: Source) -> Outline:
    """The outline with the sha256 of its source's files. Raises UnreadableFile."""
    weights = sorted(source.sha256(file) for file in source.files)
    return found.model_copy(update={"weights": tuple(weights)})


def analyze(
    model: str | Path,
    *,
    base: str | Path | None = None,
    cache: str | Path | None = None,
    progress: Report | None = None,
    **options: Any,
) -> Analysis:
    """Measure a model, or a LoRA adapter; with a `base` the difference between the two.

    `options` are the fields of Options, such as `estimator="ks"`. A model is a folder, a
    .safetensors file, or a Hub id (`org/name@revision`).

    Spectra are kept in the folder `cache` (by default that of the user's caches) and never solved
    twice. Raises AnalyzerError.
    """
    wanted = Options(**options)
    store = FolderStore(Path(cache) if cache else default_folder())
    return analyze_source(
        open_source(str(model), store),
        wanted,
        store=store,
        progress=progress,
        base=open_source(str(base), store) if base is not None else None,
    )
