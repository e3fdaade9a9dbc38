"""Open a model on the Hub: files from the Hub cache where they are right, else from the network."""

from analyzer.checkpoint import INDEX, MAX_INDEX_BYTES, read_index, weight_files
from analyzer.errors import CorruptFile
from analyzer.hub.cached import CachedSnapshot, blob_sha256, cached_file
from analyzer.hub.remote import CONNECTIONS, RemoteFile, SmallFile
from analyzer.hub.repository import Entry, Repository
from analyzer.hub.settings import HubSettings
from analyzer.hub.transport import Transport
from analyzer.local import names_in, read_small
from analyzer.source import Source
from analyzer.text import shown
from analyzer.weightfile import HashMemory, LocalFile, WeightFile


def open_hub(
    model: str, memory: HashMemory | None = None, settings: HubSettings | None = None
) -> Source:
    """The source of `org/name` or `org/name@revision`, pinned to the commit that it is now.

    Raises AccessDenied, ModelNotFound, HubUnavailable, or like weight_files.
    """
    name, _, revision = model.partition("@")
    settings = settings or HubSettings.from_environment()
    if settings.offline:
        return _open_offline(model, name, revision or "main", settings, memory)
    transport = Transport(settings, CONNECTIONS)
    repository = Repository(name, revision or "main", transport)
    listing = repository.listing()
    where = f"{name} at {repository.commit[:12]}"
    index: dict[str, str] = {}
    if INDEX in listing:
        index = read_index(repository.small(listing[INDEX], MAX_INDEX_BYTES), where)
    warnings: list[str] = []
    files = {
        file: _file(repository, listing[file], memory, warnings)
        for file in weight_files(list(listing), index, where)
    }
    return Source(
        model,
        files,
        revision=repository.commit,
        index=index,
        small=lambda file: (
            repository.small(listing[file], MAX_INDEX_BYTES) if file in listing else None
        ),
        warnings=warnings,
        stop=transport.stop,
    )


def _file(
    repository: Repository, entry: Entry, memory: HashMemory | None, warnings: list[str]
) -> WeightFile:
    if entry.sha256 is None:
        return SmallFile(repository, entry)
    cached = cached_file(
        repository.transport.settings, repository.name, repository.commit, entry.path
    )
    if cached is not None:
        local = LocalFile(cached, memory, "hub_cache")
        if local.size == entry.size and local.sha256() == entry.sha256:
            return local
        warnings.append(
            f"{shown(cached)} in the Hub cache is damaged (it is not what the commit names) and "
            "was not used; delete it and fetch it again"
        )
    return RemoteFile(repository, entry)


def _open_offline(
    model: str, name: str, revision: str, settings: HubSettings, memory: HashMemory | None
) -> Source:
    snapshot = CachedSnapshot(name, settings, revision)
    folder, names = snapshot.folder, names_in(snapshot.folder)
    index: dict[str, str] = {}
    if INDEX in names:
        index = read_index(read_small(folder / INDEX), shown(folder))
    files: dict[str, WeightFile] = {}
    for file in weight_files(names, index, shown(folder)):
        local = LocalFile(folder / file, memory, "hub_cache")
        expected = blob_sha256(folder / file)
        if expected is not None and local.sha256() != expected:
            raise CorruptFile(
                f"{shown(folder / file)} in the Hub cache is damaged (it is not what its commit "
                "names); delete it and fetch it again without HF_HUB_OFFLINE"
            )
        files[file] = local
    return Source(
        model,
        files,
        revision=snapshot.commit,
        index=index,
        small=lambda file: read_small(folder / file) if file in names else None,
    )
