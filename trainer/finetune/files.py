"""Small files of a run that are there whole or as they were."""

from pathlib import Path


def replace_text(file: Path, text: str) -> None:
    """Write a file beside and put it in place by a rename."""
    draft = file.with_name(f".{file.name}")
    draft.write_text(text, encoding="utf-8")
    draft.rename(file)
