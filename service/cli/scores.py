"""Scores of layers from a file."""

import json
from pathlib import Path

from service.cli.failures import CommandError


def read_scores(path: Path) -> list[float]:
    """A JSON list of numbers, one per layer. Raises CommandError."""
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}") from error
    if not isinstance(scores, list) or not all(
        isinstance(score, int | float) and not isinstance(score, bool) for score in scores
    ):
        raise CommandError(f"{path} must hold a JSON list of numbers, one for each layer")
    try:
        return [float(score) for score in scores]
    except OverflowError as error:
        raise CommandError(f"{path} holds a number that is too large; scale the scores") from error
