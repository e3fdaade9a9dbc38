"""What huggingface_hub has downloaded already: read from its cache, checked, never changed."""

import re
from pathlib import Path

from analyzer.errors import ModelNotFound
from analyzer.hub.repository import COMMIT
from analyzer.hub.settings import HubSettings

_BLOB_SHA256 = re.compile(r"[0-9a-f]{64}")


class CachedSnapshot:
    """The files of one commit in the cache."""

    def __init__(self, name: str, settings: HubSettings, revision: str) -> None:
        """Find the commit that `revision` stands for in the cache. Raises ModelNotFound."""
        self.name = name
        self._repo = _repository(settings, name)
        self.commit = revision if COMMIT.fullmatch(revision) else self._resolve(revision)
        if not self.folder.is_dir():
            raise self._missing(revision)

    @property
    def folder(self) -> Path:
        """Where the files of the commit are."""
        return self._repo / "snapshots" / self.commit

    def _resolve(self, revision: str) -> str:
        try:
            commit = (self._repo / "refs" / revision).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise self._missing(revision) from error
        if not COMMIT.fullmatch(commit):
            raise self._missing(revision)
        return commit

    def _missing(self, revision: str) -> ModelNotFound:
        return ModelNotFound(
            f"{self.name} at {revision} is not in the Hub cache, and HF_HUB_OFFLINE is set; "
            "unset it, or fetch the model with `hf download` first"
        )


def cached_file(settings: HubSettings, name: str, commit: str, path: str) -> Path | None:
    """A file of a commit in the cache; None where it is not there."""
    found = _repository(settings, name) / "snapshots" / commit / path
    return found if found.is_file() else None


def _repository(settings: HubSettings, name: str) -> Path:
    return settings.cache / f"models--{name.replace('/', '--')}"


def blob_sha256(path: Path) -> str | None:
    """The sha256 that the cache filed a large file under; None for small files."""
    name = path.resolve().name
    return name if _BLOB_SHA256.fullmatch(name) else None
