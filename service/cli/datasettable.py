"""Datasets as a table and as lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from analyzer.text import listed, shown
from service.cli.layout import print_line, print_table
from service.cli.sizes import format_size

Dataset = Mapping[str, Any]


def show_datasets(console: Console, datasets: Sequence[Dataset], more: bool) -> None:
    """A row for each dataset."""
    if not datasets:
        print_line(console, "no datasets; send one with `tailora datasets upload FILE`")
        return
    print_table(
        console,
        "",
        ["id", "name", "format", "form", "task", "size", "created"],
        ((each["id"] or "(registered)", shown(each["name"]), each["format"],
          each.get("form") or "", each.get("task") or "", format_size(each["bytes"]),
          each.get("created_at") or "")
         for each in datasets),
    )  # fmt: skip
    if more:
        print_line(console, "there are more; see --limit and --source")


def show_dataset(console: Console, dataset: Dataset) -> None:
    """A line for each thing to know."""
    for name in ("id", "name", "source", "format", "form", "task", "sha256", "created_at", "error"):
        if dataset.get(name):
            print_line(console, f"{name.removesuffix('_at'):<10}{shown(dataset[name], 2000)}")
    print_line(console, f"{'size':<10}{format_size(dataset['bytes'])}")
    if dataset.get("columns"):
        print_line(console, f"{'columns':<10}{listed(dataset['columns'])}")
    for label, value in dataset.get("metadata", {}).items():
        print_line(console, f"{'label':<10}{shown(label)} = {shown(value)}")
