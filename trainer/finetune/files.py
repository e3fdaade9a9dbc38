"""Small files of a run that are there whole or as they were."""

from pathlib import Path

from trainer.finetune.limits import disk_is_told


def replace_text(file: Path, text: str) -> None:
    """Write a file beside and put it in place by a rename. Raises TrainingStopped."""
    draft = file.with_name(f".{file.name}")
    with disk_is_told(file.name, file.parent):
        draft.write_text(text, encoding="utf-8")
        draft.rename(file)
