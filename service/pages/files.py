"""The files that pages load, compressed once."""

import gzip
import os
from functools import lru_cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

Name = str | os.PathLike[str]


class PageFiles(StaticFiles):
    """Text files; browsers ask whether theirs are current, so that an upgrade is seen at once."""

    def file_response(
        self, full_path: Name, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file, compressed for who takes that; 304 where the browser has it."""
        answer = super().file_response(full_path, stat_result, scope, status_code)
        if isinstance(answer, FileResponse) and "gzip" in Headers(scope=scope).get(
            "accept-encoding", ""
        ):
            kept = {name: answer.headers[name] for name in ("etag", "last-modified")}
            content = _compressed(os.fspath(full_path), stat_result.st_mtime_ns)
            answer = Response(content, status_code, kept, answer.media_type)
            answer.headers["Content-Encoding"] = "gzip"
            answer.headers["Vary"] = "Accept-Encoding"
        answer.headers["Cache-Control"] = "no-cache"
        return answer


@lru_cache(maxsize=64)
def _compressed(path: str, changed: int) -> bytes:
    return gzip.compress(Path(path).read_bytes(), mtime=0)
