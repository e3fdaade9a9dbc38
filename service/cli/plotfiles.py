"""Documents that `tailora plot` reads: analyses, series, metrics of a run, and comparisons."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from service.cli.failures import CommandError
from service.cli.files import STDIN, read_input

if TYPE_CHECKING:
    from analyzer.report import Analysis
    from analyzer.series import Series
    from trainer.compare.results import Compared

Parsed = TypeVar("Parsed", bound=BaseModel)
METRICS, COMPARISON = "metrics.jsonl", "comparison.json"


def read_analyses(sources: Sequence[str]) -> "list[Analysis] | Series":
    """Analyses in their order, or the one series that is named. Raises CommandError."""
    from analyzer.report import Analysis
    from analyzer.series import Series

    contents = [read_input(Path(source)) for source in sources]
    if len(contents) == 1 and _schema(contents[0]) == "tailora.series/1":
        return _parsed(Series, contents[0], sources[0])
    return [
        _parsed(Analysis, content, source)
        for content, source in zip(contents, sources, strict=True)
    ]


def read_compared(source: str) -> "Compared":
    """The outcome of a comparison, from its file or folder. Raises CommandError."""
    from trainer.compare.results import Compared

    path = Path(source)
    return _parsed(Compared, read_input(path / COMPARISON if path.is_dir() else path), source)


def read_lines(source: str) -> list[dict[str, Any]]:
    """Lines of metrics, from their file or a run's folder; a last line cut off is left out.

    Raises CommandError.
    """
    path = Path(source)
    lines = read_input(path / METRICS if path.is_dir() else path).decode(errors="replace")
    found = []
    rows = lines.splitlines()
    for number, row in enumerate(rows, 1):
        try:
            line = json.loads(row)
            found.append({**line, "step": int(line["step"])})
        except (ValueError, KeyError, TypeError) as error:
            if number == len(rows) and found:
                break
            raise CommandError(
                f"{source}: line {number} is no line of metrics; name the folder of a run, or its "
                f"{METRICS}"
            ) from error
    return found


def run_name(source: str) -> str:
    """What a run is called: its folder."""
    if source == STDIN:
        return "training"
    path = Path(source).absolute()
    return path.name if path.is_dir() else path.parent.name


def _schema(content: bytes) -> str | None:
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found.get("schema") if isinstance(found, dict) else None


def _parsed(kind: type[Parsed], content: bytes, source: str) -> Parsed:
    wanted = kind.model_fields["schema_id"].default
    schema = _schema(content)
    if schema != wanted:
        what = f"a document of {str(schema)[:60]}" if schema else "no such document"
        raise CommandError(f"{source} is {what}; this figure is made from one of {wanted}")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CommandError(f"{source} is damaged: {place}: {first['msg'][:200]}") from error
