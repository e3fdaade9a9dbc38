"""The installed version."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def tailora_version() -> str:
    """The version of TaiLoRA, for provenance."""
    try:
        return version("tailora")
    except PackageNotFoundError:
        return "not installed"
