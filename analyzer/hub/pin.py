"""Which commit a model's name stands for now, asked while somebody waits."""

from dataclasses import dataclass, replace
from threading import Timer

from analyzer.checkpoint import CONFIG, MAX_INDEX_BYTES
from analyzer.errors import HubUnavailable
from analyzer.hub.cached import CachedSnapshot
from analyzer.hub.repository import Repository
from analyzer.hub.settings import HubSettings
from analyzer.hub.transport import Transport


@dataclass(frozen=True, slots=True)
class Pin:
    """A commit, and whether not everybody may read it: the repository is gated or private."""

    commit: str
    restricted: bool


def pin(name: str, revision: str, seconds: float) -> Pin:
    """The commit of a revision, which whoever's token is set may read; within so many seconds.

    Offline nobody can be asked, so that what is cached counts as restricted. Raises AccessDenied,
    ModelNotFound, or HubUnavailable where no answer came in time.
    """
    settings = HubSettings.from_environment()
    if settings.offline:
        return Pin(CachedSnapshot(name, settings, revision).commit, restricted=True)
    transport = Transport(replace(settings, timeout=min(settings.timeout, seconds / 2)), 1)
    timer = Timer(seconds, transport.stop.set)
    timer.daemon = True
    timer.start()
    try:
        repository = Repository(name, revision, transport)
        if repository.gated:
            _try_to_read(repository)
        return Pin(repository.commit, repository.gated or repository.private)
    except HubUnavailable as error:
        if transport.stop.is_set():
            raise HubUnavailable(
                f"{name}: the Hub did not answer within {seconds:g} s; try again later"
            ) from error
        raise
    finally:
        timer.cancel()


def _try_to_read(repository: Repository) -> None:
    """What a gated repository is called is public; whether it may be read shows at its files."""
    listing = repository.listing()
    if CONFIG in listing:
        repository.small(listing[CONFIG], MAX_INDEX_BYTES)
