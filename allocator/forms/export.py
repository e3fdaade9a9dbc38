"""What an export is: files by name, and what was given up in them."""

from pydantic import Field

from analyzer.outline import Record


class Export(Record):
    """A plan in the form of another tool."""

    target: str
    files: dict[str, str] = Field(description="text by file name")
    warnings: tuple[str, ...] = ()
