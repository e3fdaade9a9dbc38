"""The addresses of the Hub: files, their metadata, listings, references, users."""

import re
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from tests.hub.messages import Refused, Request, Response, as_file, as_json
from tests.hub.repository import Commit, File, Repository

if TYPE_CHECKING:
    from tests.hub.server import HubDouble

NAME = "(?P<name>[^/]+?(?:/[^/]+)??)"
REVISION = "(?P<revision>[^/]+)"
RESOLVE = re.compile(rf"/(?:(?P<type>dataset|model)s/)?{NAME}/resolve/{REVISION}/(?P<path>.+)")
API = re.compile(
    rf"/api/(?P<type>model|dataset)s/{NAME}"
    rf"(?:/(?P<what>revision|tree|paths-info)/{REVISION}(?:/(?P<path>.+))?|/(?P<refs>refs))?"
)
DATE = "2024-01-01T00:00:00.000Z"


def answer(hub: "HubDouble", request: Request) -> Response:
    """What the Hub would say."""
    try:
        if request.origin == "cdn":
            return _object(hub, request)
        if request.path.startswith("/api/"):
            return _api(hub, request)
        return _resolve(hub, request)
    except Refused as refused:
        return refused.response


def _object(hub: "HubDouble", request: Request) -> Response:
    file = hub.objects.get(request.path.removeprefix("/cdn/"))
    if file is None:
        raise Refused(403, None, "Access denied")
    return as_file(request, file.source, file.etag)


def _resolve(hub: "HubDouble", request: Request) -> Response:
    match = RESOLVE.fullmatch(request.path)
    if match is None:
        raise Refused(404, None, "Not found")
    repository, user = _repository(hub, request, match["type"] or "model", match["name"])
    if not repository.readable(user):
        message = f"Access to model {repository.name} is restricted."
        raise Refused(401 if user is None else 403, "GatedRepo", message)
    commit = _commit(repository, match["revision"])
    file = commit.files.get(unquote(match["path"]))
    if file is None:
        raise Refused(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit.sha)
    response = _linked(hub, file) if file.sha256 else as_file(request, file.source, file.etag)
    response.headers["X-Repo-Commit"] = commit.sha
    return response


def _linked(hub: "HubDouble", file: File) -> Response:
    """A large file is kept elsewhere; the name in the query serves the log alone."""
    headers = {
        "Location": f"{hub.cdn}/cdn/{file.sha256}?filename={quote(file.path)}",
        "X-Linked-Etag": file.etag,
        "X-Linked-Size": str(file.size),
        "Accept-Ranges": "bytes",
    }
    return Response(302, headers)


def _api(hub: "HubDouble", request: Request) -> Response:
    if request.path == "/api/whoami-v2":
        return _whoami(_user(hub, request))
    match = API.fullmatch(request.path)
    if match is None:
        raise Refused(404, None, "Not found")
    repository, _ = _repository(hub, request, match["type"], match["name"])
    if match["refs"]:
        return _refs(repository)
    commit = _commit(repository, match["revision"] or "main")
    if match["what"] == "tree":
        return _tree(hub, request, commit, unquote(match["path"] or ""))
    if match["what"] == "paths-info":
        return _paths(request, commit)
    return _info(request, repository, commit)


def _user(hub: "HubDouble", request: Request) -> str | None:
    if request.token is None:
        return None
    if request.token not in hub.tokens:
        raise Refused(401, None, "Invalid credentials in Authorization header")
    return hub.tokens[request.token]


def _repository(
    hub: "HubDouble", request: Request, kind: str, name: str
) -> tuple[Repository, str | None]:
    """The repository and the user; one that may not be seen looks like one that is not there."""
    user = _user(hub, request)
    repository = hub.repositories.get((kind, unquote(name)))
    if repository is None or not repository.visible(user):
        raise Refused(401 if user is None else 404, "RepoNotFound", "Repository not found")
    return repository, user


def _commit(repository: Repository, revision: str) -> Commit:
    commit = repository.commit(unquote(revision))
    if commit is None:
        raise Refused(404, "RevisionNotFound", f"Invalid rev id: {unquote(revision)}")
    return commit


def _whoami(user: str | None) -> Response:
    if user is None:
        raise Refused(401, None, "Invalid username or password.")
    token = {"displayName": user, "role": "read"}
    auth = {"type": "access_token", "accessToken": token}
    named = {"name": user, "fullname": user, "id": user}
    return as_json({"type": "user", **named, "orgs": [], "auth": auth})


def _refs(repository: Repository) -> Response:
    def named(kind: str, refs: dict[str, str]) -> list[dict[str, str]]:
        return [
            {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}
            for name, sha in refs.items()
        ]

    branches, tags = named("heads", repository.branches), named("tags", repository.tags)
    return as_json({"branches": branches, "converts": [], "tags": tags, "pullRequests": []})


def _info(request: Request, repository: Repository, commit: Commit) -> Response:
    blobs = "blobs" in request.query
    siblings = [_sibling(file, blobs) for file in commit.files.values()]
    names = {"_id": commit.sha[:24], "id": repository.name, "modelId": repository.name}
    access = {
        "private": repository.private is not False,
        "gated": False if repository.gated is None else "manual",
        "disabled": False,
    }
    dates = {"createdAt": DATE, "lastModified": DATE}
    counts = {"author": repository.name.split("/")[0], "downloads": 0, "likes": 0, "tags": []}
    document = {**names, "sha": commit.sha, **access, **dates, **counts, "siblings": siblings}
    return as_json(document)


def _sibling(file: File, blobs: bool) -> dict[str, Any]:
    entry = file.entry()
    sibling: dict[str, Any] = {"rfilename": file.path}
    if blobs:
        sibling.update(size=file.size, blobId=file.oid)
        if lfs := entry.get("lfs"):
            sibling["lfs"] = {**lfs, "sha256": file.sha256}
    return sibling


def _tree(hub: "HubDouble", request: Request, commit: Commit, folder: str) -> Response:
    entries = commit.entries()
    inside = folder.rstrip("/") + "/" if folder else ""
    if inside and inside[:-1] not in entries:
        message = f"{folder} does not exist on this revision"
        raise Refused(404, "EntryNotFound", message, X_Repo_Commit=commit.sha)
    deep = _said(request.query, "recursive")
    below = [
        _expanded(request.query, commit, entry)
        for path, entry in entries.items()
        if path.startswith(inside) and (deep or "/" not in path[len(inside) :])
    ]
    begin = int(request.query.get("cursor", ["0"])[0])
    end = begin + hub.page_size
    headers = {}
    if end < len(below):
        options = "".join(
            f"{key}={quote(request.query[key][0])}&"
            for key in ("recursive", "expand")
            if key in request.query
        )
        url = f"{hub.endpoint}{request.path}?{options}cursor={end}"
        headers["Link"] = f'<{url}>; rel="next"'
    return as_json(list(islice(below, begin, end)), headers=headers)


def _paths(request: Request, commit: Commit) -> Response:
    if request.method != "POST":
        raise Refused(404, None, "Not found")
    entries = commit.entries()
    named = [path.rstrip("/") for path in request.form.get("paths", [])]
    found = [entries[path] for path in named if path in entries]
    return as_json([_expanded(request.form, commit, entry) for entry in found])


def _expanded(query: dict[str, Any], commit: Commit, entry: dict[str, Any]) -> dict[str, Any]:
    if not _said(query, "expand"):
        return entry
    return {**entry, "lastCommit": {"id": commit.sha, "title": "Snapshot", "date": DATE}}


def _said(query: dict[str, Any], option: str) -> bool:
    value = query.get(option, False)
    return str(value[0] if isinstance(value, list) else value).lower() in ("true", "1")
