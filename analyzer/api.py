"""The two calls that most users need."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyzer.analyze import Options, Progress, file_hashes
from analyzer.analyze import analyze as analyze_source
from analyzer.outline import Outline
from analyzer.report import Analysis
from analyzer.scan import outline as scan_outline
from analyzer.source import open_source
from analyzer.store import FolderStore, default_folder


def outline(model: str | Path, *, hashes: bool = False, cache: Path | None = None) -> Outline:
    """What a model holds, from headers alone.

    `model` is a folder or a .safetensors file. With `hashes` the weight files are hashed as well
    (remembered in `cache`), so that a plan made from the outline names them. Raises AnalyzerError.
    """
    source = open_source(str(model), FolderStore(cache or default_folder()))
    found = scan_outline(source)
    if not hashes:
        return found
    return found.model_copy(update={"weights": tuple(sorted(file_hashes(source).values()))})


def analyze(
    model: str | Path,
    *,
    cache: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Analysis:
    """Measure a model; `options` are the fields of Options, such as `estimator="ks"`.

    Spectra are kept in the folder `cache` (by default that of the user's caches) and never solved
    twice. Raises AnalyzerError.
    """
    store = FolderStore(cache or default_folder())
    source = open_source(str(model), store)
    return analyze_source(source, Options(**options), store=store, progress=progress)
