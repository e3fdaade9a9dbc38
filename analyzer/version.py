"""The installed version."""

from importlib.metadata import PackageNotFoundError, version


def tailora_version() -> str:
    """The version of TaiLoRA, for provenance."""
    try:
        return version("tailora")
    except PackageNotFoundError:
        return "not installed"
