"""What an upload says of itself beside its bytes: name, format, checksum, labels."""

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, get_args

from fastapi import Header, Query
from pydantic import TypeAdapter, ValidationError

from ledger.registered import FORMATS
from service.datasets.schemas import UploadFormat
from service.guard import check_json
from service.jobs.schemas import Metadata
from service.problems import FieldError, Problem

TYPES: dict[str, UploadFormat | None] = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/octet-stream": None,
}
"""Media types and what they say. None of them is sent by a foreign web page without asking."""

_DIGEST = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)\s*=\s*:([A-Za-z0-9+/=]{1,200}):\s*", re.ASCII)
_labels = TypeAdapter(Metadata)

Name = Annotated[
    str, Query(min_length=1, max_length=200, description="what it is called; need not be unique")
]
FormatName = Annotated[
    UploadFormat | None,
    Query(description="where neither the content type nor the end of the name says it"),
]
Sha256 = Annotated[
    str | None,
    Query(pattern="^[0-9a-fA-F]{64}$", description="of the bytes, in place of Content-Digest"),
]
Labels = Annotated[
    str | None,
    Query(max_length=16_384, description="labels of your own: a JSON object of texts, 16 at most"),
]
ContentDigest = Annotated[
    str | None, Header(max_length=1000, description="RFC 9530: `sha-256=:BASE64:`")
]


@dataclass(frozen=True, slots=True)
class Words:
    """What is to be kept beside the bytes, and what they must be."""

    name: str
    format: UploadFormat
    labels: dict[str, str]
    sha256: frozenset[str]
    """That the bytes must have; empty where none was given."""


def words_of(
    name: str,
    chosen: UploadFormat | None,
    content_type: str,
    sha256: str | None,
    digest: str | None,
    labels: str | None,
) -> Words:
    """Check them. Raises Problem."""
    if not name.isprintable():
        raise _wrong("name", "use characters that can be printed")
    given = {sha256.lower()} if sha256 is not None else set()
    if digest is not None:
        given.add(_sha256_in(digest))
    found = _format(name, chosen, content_type)
    return Words(name, found, _labels_in(labels), frozenset(given))


def _format(name: str, chosen: UploadFormat | None, content_type: str) -> UploadFormat:
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in TYPES:
        raise Problem(
            "media_type_unsupported", f"send the bytes of a file as {', '.join(sorted(TYPES))}"
        )
    by_name = FORMATS.get(PurePosixPath(name).suffix.lower())
    found = chosen or TYPES[kind] or by_name
    if found is None:
        raise _wrong("format", "say which: format=jsonl, csv or parquet")
    return next(each for each in get_args(UploadFormat) if each == found)


def _sha256_in(digest: str) -> str:
    """In hexadecimal. Other algorithms are passed over, but not all there is."""
    for part in digest.split(","):
        found = _DIGEST.fullmatch(part)
        if found is None:
            raise _wrong("Content-Digest", "write it as sha-256=:BASE64:")
        if found[1] == "sha-256":
            return _hex(found[2])
    raise _wrong("Content-Digest", "it names no sha-256, which alone is checked here")


def _hex(text: str) -> str:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise _wrong("Content-Digest", "its sha-256 is not in Base64") from error
    if len(content) != 32:
        raise _wrong("Content-Digest", "its sha-256 has not 32 bytes")
    return content.hex()


def _labels_in(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    value = check_json(text.encode())
    try:
        return _labels.validate_python(value, strict=True)
    except ValidationError as error:
        first = str(error.errors()[0]["msg"])[:150]
        raise _wrong("metadata", f"{first}; give a JSON object of 16 texts at most") from error


def _wrong(field: str, message: str) -> Problem:
    return Problem(
        "invalid_request", f"{field}: {message}", errors=[FieldError(field=field, message=message)]
    )
