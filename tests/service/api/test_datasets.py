"""/v1/datasets: what is kept, for whom, and what is refused without a trace."""

import base64
import hashlib
import json

import pytest
from sqlalchemy import update

from ledger.tables import artifacts, datasets, jobs
from tests.ledger.make import add_job, count
from tests.service.api.keys import REACHED, new_key
from tests.service.api.test_bad_input import refused

PATH = "/v1/datasets"
CSV = {"content-type": "text/csv"}
CONTENT = b"text,label\na,1\nb,2\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["sqlite", "postgres"])
def api(request, make_api):
    if request.param == "sqlite":
        return make_api()
    return make_api(database_url=request.getfixturevalue("postgres_url"))


@pytest.fixture
def sqlite(make_api):
    """An API where the database makes no difference."""
    return make_api()


def send(api, content=CONTENT, headers=CSV, name="texts.csv", **words):
    return api.http.post(PATH, params={"name": name, **words}, content=content, headers=headers)


def left(api) -> tuple[int, list[str]]:
    """Rows of datasets and artifacts, and files."""
    folder = api.ledger.settings.data / "artifacts"
    rows = count(api.ledger.database, datasets) + count(api.ledger.database, artifacts)
    return rows, [path.name for path in folder.rglob("*") if path.is_file()]


def digest(content: bytes, algorithm: str = "sha256") -> str:
    sum_ = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    return f"{algorithm[:3]}-{algorithm[3:]}=:{sum_}:"


def test_an_upload_is_a_dataset(api):
    words = {"metadata": json.dumps({"team": "ä"})}
    answer = send(api, headers={**CSV, "content-digest": digest(CONTENT)}, **words)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["id"].startswith("dts_")
    assert answer.headers["location"] == made["links"]["self"] == f"{PATH}/{made['id']}"
    assert {name: made[name] for name in ("object", "source", "name", "format", "bytes")} == {
        "object": "dataset", "source": "uploaded", "name": "texts.csv", "format": "csv",
        "bytes": len(CONTENT),
    }  # fmt: skip
    assert (made["sha256"], made["columns"]) == (SHA256, ["text", "label"])
    assert (made["form"], made["task"]) == ("classification", "classification")
    assert (made["metadata"], made["error"]) == ({"team": "ä"}, None)
    assert api.http.get(made["links"]["self"]).json() == made
    assert api.http.get(PATH).json() == {"data": [made], "has_more": False, "next": None}
    with api.ledger.database.read() as connection:
        assert api.ledger.artifacts.get(connection, SHA256) == CONTENT


FORMATS = [
    ("application/x-ndjson", {"name": "a"}, b'{"text": "a"}', "text"),
    ("application/x-ndjson; charset=utf-8", {"name": "a.csv"}, b'{"text": "a"}', "text"),
    ("application/octet-stream", {"name": "a.JSONL"}, b'{"text": "a"}', "text"),
    ("application/octet-stream", {"name": "a", "format": "csv"}, CONTENT, "classification"),
    ("text/csv", {"name": "a", "format": "jsonl"}, b'{"text": "a"}', "text"),
]


def test_the_format_comes_from_the_query_the_type_or_the_name(sqlite):
    for kind, words, content, form in FORMATS:
        made = send(sqlite, content, {"content-type": kind}, **words)
        assert (made.status_code, made.json()["form"]) == (201, form), (kind, words, made.text)


def test_large_ones_are_files_and_kept_once(api):
    content = b"text\n" + b"a" * 999 + b"\n" + b"line\n" * 300_000

    def pieces():
        for first in range(0, len(content), 65_536):
            yield content[first : first + 65_536]

    made = [send(api, pieces()).json() for _ in range(2)]
    assert made[0]["id"] != made[1]["id"]
    sha256 = hashlib.sha256(content).hexdigest()
    assert {one["sha256"] for one in made} == {sha256}
    assert left(api) == (3, [sha256])
    for one, rows in zip(made, (2, 0), strict=True):
        assert api.http.delete(one["links"]["self"]).status_code == 204
        assert left(api) == (rows, [sha256] * (rows > 0))
        refused(api.http.get(one["links"]["self"]), "not_found")


WRONG = {
    "another checksum": ({}, {"sha256": "0" * 64}, CONTENT, "checksum_mismatch"),
    "another digest": ({"content-digest": digest(b"other")}, {}, CONTENT, "checksum_mismatch"),
    "two checksums": (
        {"content-digest": digest(CONTENT)}, {"sha256": "0" * 64}, CONTENT, "checksum_mismatch",
    ),
    "nothing": ({}, {}, b"", "invalid_data"),
    "other columns": ({}, {}, b"q,a\n1,2\n", "invalid_data"),
    "NUL": ({}, {}, b"text\na\0\nb\n", "invalid_data"),
    "no text": ({}, {}, b"text\n\xff\n", "invalid_data"),
    "no parquet": ({}, {"format": "parquet"}, CONTENT, "invalid_data"),
    "too large": ({}, {}, b"text\n" + b"a" * 100_000, "body_too_large"),
    "of a form": (
        {"content-type": "multipart/form-data; boundary=x"}, {}, CONTENT, "media_type_unsupported",
    ),
    "of no type": ({"content-type": ""}, {}, CONTENT, "media_type_unsupported"),
    "as text": ({"content-type": "text/plain"}, {}, CONTENT, "media_type_unsupported"),
    "compressed": ({"content-encoding": "gzip"}, {}, CONTENT, "media_type_unsupported"),
    "no name": ({}, {"name": ""}, CONTENT, "invalid_request"),
    "a bell as name": ({}, {"name": "a\a.csv"}, CONTENT, "invalid_request"),
    "a long name": ({}, {"name": "a" * 201}, CONTENT, "invalid_request"),
    "a NUL as name": ({}, {"name": "\0"}, CONTENT, "invalid_request"),
    "of another format": ({}, {"format": "zip"}, CONTENT, "invalid_request"),
    "of which format": (
        {"content-type": "application/octet-stream"}, {"name": "a.txt"}, CONTENT, "invalid_request",
    ),
    "half a checksum": ({}, {"sha256": SHA256[:-1]}, CONTENT, "invalid_request"),
    "a digest of another kind": (
        {"content-digest": digest(CONTENT, "sha512")}, {}, CONTENT, "invalid_request",
    ),
    "a short digest": ({"content-digest": "sha-256=:YWI=:"}, {}, CONTENT, "invalid_request"),
    "a digest of noise": ({"content-digest": "sha-256=:Y:"}, {}, CONTENT, "invalid_request"),
    "a digest without marks": ({"content-digest": f"sha-256={SHA256}"}, {}, CONTENT,
                               "invalid_request"),
    "labels that are numbers": ({}, {"metadata": '{"a": 1}'}, CONTENT, "invalid_request"),
    "a list of labels": ({}, {"metadata": "[]"}, CONTENT, "invalid_request"),
    "too many labels": (
        {}, {"metadata": json.dumps({str(n): "" for n in range(17)})}, CONTENT, "invalid_request",
    ),
    "labels with NUL": ({}, {"metadata": '{"a": "\\u0000"}'}, CONTENT, "invalid_json"),
    "labels that are not JSON": ({}, {"metadata": "{"}, CONTENT, "invalid_json"),
}  # fmt: skip


def test_what_is_refused_leaves_nothing(make_api):
    api = make_api(dataset_bytes=50_000, inline_bytes=5)

    def outcomes(pieces):
        for case, (headers, words, content, code) in WRONG.items():
            answer = send(api, pieces(content), {**CSV, **headers}, **words)
            refused(answer, answer.json()["code"], param=answer.json()["param"])
            yield case, (code, (0, [])), (answer.json()["code"], left(api))

    def in_pieces(content):
        yield from (content[first : first + 7000] for first in range(0, len(content), 7000))

    for pieces in (bytes, in_pieces):
        found = list(outcomes(pieces))
        assert {case: seen for case, _, seen in found} == {case: right for case, right, _ in found}
    assert send(api).status_code == 201


def test_a_message_says_where_and_what_to_do(sqlite):
    answer = send(sqlite, b'{"text": "a"}\n{"text: "b"}\n', name="mine.jsonl", format="jsonl")
    refused(answer, "invalid_data", detail="line 2 of mine.jsonl is not JSON")
    answer = send(sqlite, b"q,a\n1,2\n")
    refused(answer, "invalid_data", detail="texts.csv has the columns q, a; what can be trained on")


def test_uploads_may_be_off(make_api):
    refused(send(make_api(dataset_bytes=0)), "uploads_off", detail="TAILORA_DATASET_BYTES")


def test_other_paths_stay_bounded_by_the_body_setting(sqlite):
    big = b"x" * 70_000
    for path in (f"{PATH}/", f"{PATH}/x", "/v1/plans"):
        refused(sqlite.http.post(path, content=big, headers=CSV), "body_too_large")
    refused(sqlite.http.request("DELETE", PATH, content=big, headers=CSV), "body_too_large")
    refused(sqlite.http.post(PATH, content=CONTENT, headers={**CSV, "host": "evil.example"}),
            "host_not_allowed")  # fmt: skip


def test_pages(sqlite):
    made = [send(sqlite, name=f"{n}.csv").json()["id"] for n in range(5)]
    found, after = [], {}
    while True:
        page = sqlite.http.get(PATH, params={"limit": 2, **after}).json()
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["next"]}
    assert found == sorted(made, reverse=True)
    other = sqlite.http.get(PATH, params={"source": "registered", **after})
    refused(other, "invalid_cursor")
    for query in ("limit=0", "limit=101", "source=hub"):
        refused(
            sqlite.http.get(f"{PATH}?{query}"), "invalid_request", param=query[: query.index("=")]
        )


def test_once_only(api):
    key = {**CSV, "idempotency-key": "upload-1"}
    first = send(api, headers=key)
    again = send(api, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    for other in (send(api, CONTENT + b"c,1\n", key), send(api, headers=key, name="other.csv")):
        refused(other, "idempotency_key_reused")
    assert len(api.http.get(PATH).json()["data"]) == 1
    assert left(api) == (2, [])


def test_a_job_that_runs_keeps_its_data(api):
    made = send(api).json()
    with api.ledger.database.write() as connection:
        job_id = add_job(connection)
        named = {"words": {}, "data": {"train": {"id": made["id"]}}}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(request=named))
    refused(api.http.delete(made["links"]["self"]), "conflict", detail=job_id)
    with api.ledger.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(state="succeeded"))
    assert api.http.delete(made["links"]["self"]).status_code == 204


def test_of_others_it_is_as_if_there_were_none(make_api):
    api = make_api(**REACHED)
    ann, ben = new_key(api, "a", "ann"), new_key(api, "b", "ben")
    made = send(api, headers={**CSV, **ann}).json()
    for answer in (api.http.get(made["links"]["self"], headers=ben),
                   api.http.delete(made["links"]["self"], headers=ben)):  # fmt: skip
        refused(answer, "not_found", detail="of yours")
    assert api.http.get(PATH, headers=ben).json()["data"] == []
    refused(send(api), "unauthorized")
    refused(send(api, headers={**CSV, **new_key(api, "r", "ann", "read")}), "scope_missing")


def test_the_room_of_an_owner(make_api):
    api = make_api(**REACHED, datasets_total_bytes=100, inline_bytes=5)
    ann, ben = ({**CSV, **new_key(api, name, name)} for name in ("ann", "ben"))
    assert send(api, headers=ann).status_code == 201
    before = left(api)
    large = b"text\n" + b"a\n" * 45
    for body in (large, iter([large])):
        answer = send(api, body, ann)
        refused(answer, "datasets_full", detail="delete some")
        assert not answer.json()["retryable"]
    assert left(api) == before
    assert send(api, large, ben).status_code == 201
    here = make_api(datasets_total_bytes=1)
    assert send(here).status_code == 201, "on this machine alone nothing is limited"


def test_too_many_at_once(make_api):
    api = make_api(**REACHED, submit_rate=0.01, submit_burst=2)
    ann = {**CSV, **new_key(api, "a", "ann")}
    answers = [send(api, headers=ann) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[2].headers["retry-after"]) > 0


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "registered"
    folder.mkdir()
    (folder / "ä.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (folder / "b.csv").write_text("q,a\n1,2\n")
    (tmp_path / "outside.csv").write_text("text\nsecret\n")
    (folder / "link.csv").symlink_to(tmp_path / "outside.csv")
    return folder


def test_registered_ones_are_listed_by_name(make_api, folder):
    api = make_api(datasets=str(folder))
    first = api.http.get(PATH, params={"source": "registered", "limit": 1}).json()
    assert first["has_more"]
    rest = {"source": "registered", "after": first["next"]}
    second = api.http.get(PATH, params=rest).json()
    assert (second["has_more"], second["next"]) == (False, None)
    (wrong,), (right,) = first["data"], second["data"]
    assert (right["id"], right["source"], right["name"]) == (None, "registered", "ä.jsonl")
    assert (right["form"], right["task"], right["error"]) == ("completion", "language", None)
    assert right["bytes"] == (folder / "ä.jsonl").stat().st_size
    assert "columns q, a" in wrong["error"]
    assert (wrong["name"], wrong["columns"], wrong["form"]) == ("b.csv", None, None)
    for one in (wrong, right):
        assert api.http.get(one["links"]["self"]).json() == one
        refused(api.http.delete(one["links"]["self"]), "conflict", detail="operator")
    assert api.http.get(PATH).json()["data"] == []


ELSEWHERE = [
    "link.csv", "..", "../outside.csv", "..%2foutside.csv", "%2e%2e%2foutside.csv",
    "%2fetc%2fpasswd", "..%5coutside.csv", "b.csv%20", ".%2fb.csv", "%C3%28", "registered",
]  # fmt: skip


def test_names_that_lead_elsewhere(make_api, folder):
    api = make_api(datasets=str(folder))
    for name in ELSEWHERE:
        for method in ("GET", "DELETE"):
            answer = api.http.request(method, f"{PATH}/{name}")
            assert answer.status_code in (404, 405), (name, answer.text)
            assert "secret" not in answer.text


def test_cursors_of_strangers(make_api, folder):
    from ledger.cursors import encode

    api = make_api(datasets=str(folder))
    named = {"list": "datasets", "source": "registered"}
    for last in ("xyz", "ff", "dts_00"):
        query = {"source": "registered", "after": encode(last, named)}
        refused(api.http.get(PATH, params=query), "invalid_cursor")
    assert api.http.get(PATH, params={"after": encode("dts_00", {**named, "source": "uploaded"})})
