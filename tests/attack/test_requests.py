"""Row 19: whatever the OpenAPI document allows, and forty requests that it does not."""

import time
import warnings
from collections import Counter

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis.strategies import booleans

from tests.attack.service import resident
from tests.models import write_sharded

REFUSED = {"400", "401", "403", "404", "413", "415", "422"}
MOST_SECONDS = 1.0
MOST_BYTES = 16_384
MOST_GROWTH = 64_000_000


@schemathesis.serializer(
    "text/csv", "application/x-ndjson", "application/jsonl", "application/vnd.apache.parquet"
)
def as_they_are(context, value):
    """Bodies of uploads."""
    return value


def fixed(model: str) -> list[tuple[str, str, dict]]:
    """Method, path, and what the request is made with."""
    plan = {"model": model, "expert_budget": 18}

    def body(text: str | bytes, **headers: str) -> tuple[str, str, dict]:
        own = {"Content-Type": "application/json", **headers}
        return "POST", "/v1/plans", {"content": text, "headers": own}

    def words(**more: object) -> tuple[str, str, dict]:
        return "POST", "/v1/plans", {"json": {**plan, **more}}

    def get(path: str, **headers: str) -> tuple[str, str, dict]:
        return "GET", path, {"headers": headers}

    start = f'{{"model": "{model}", "expert_budget": '
    return [
        body(start + "NaN}"), body(start + "Infinity}"), body(start + "1e999}"),
        body(start + "-Infinity}"), body(start + "1" * 5000 + "}"), body(start + "0}"),
        body('{"model": "a\\u0000b", "expert_budget": 18}'), body('{"model": "a\0b"}'),
        body('{"model": "\\ud800", "expert_budget": 18}'), body(b'{"model": "\xff"}'),
        body("[" * 50_000 + "]" * 50_000), body('{"a":' * 5000 + "1" + "}" * 5000),
        body(b"\xef\xbb\xbf{}"), body(""), body("null"), body("[]"), body("{"), body('"text"'),
        body("{" + ",".join(f'"k{n}": 1' for n in range(9000)) + "}"), body("x" * 70_000),
        body("{}", **{"Content-Type": "text/plain"}), body("{}", **{"Content-Type": "nonsense"}),
        body("{}", **{"Content-Encoding": "gzip"}), body('{"model": 1}'),
        words(model="../../etc/passwd"), words(model="/etc/passwd"), words(model="org/a\n"),
        words(model="x" * 400), words(expert_budget=-1), words(expert_budget=2**63),
        words(method="nonsense"), words(parameters={"beta": 1e308}),
        words(metadata={"a": "x" * 600}),
        words(analysis_id="ana_0"), words(revision="\x7f"),
        get("/v1/plans?after=%00"), get("/v1/plans?limit=99999999999999999999"),
        get("/v1/plans/pln_%00"), get("/v1/plans?created_after=yesterday"),
        get("/v1/plans/pln_00", Authorization="Bearer " + "x" * 7000),
        get("/v1/plans?status=nonsense&limit=0&after=x"), get("/v1/plans/" + "pln_" + "0" * 3000),
    ]  # fmt: skip


@pytest.fixture
def service(serve, tmp_path):
    found = serve()
    write_sharded(tmp_path / "tiny", layers=2, width=64)
    found.hub.add("org/tiny", tmp_path / "tiny")
    found.api()
    found.worker()
    found.dispatcher()
    return found


def finished(http) -> dict[str, str]:
    """A plan, its analysis and a matrix of it, and a dataset, that are there."""
    body = {"model": "org/tiny", "expert_budget": 6}
    plan = http.post("/v1/plans", json=body, headers={"Prefer": "wait=60"}).json()
    assert plan["status"] == "succeeded", plan
    layers = http.get(f"/v1/analyses/{plan['analysis_id']}/layers").json()["data"]
    upload = {"content": b"text\na\n", "headers": {"Content-Type": "text/csv"}}
    dataset = http.post("/v1/datasets?name=a.csv", **upload).json()
    return {
        "plans": plan["id"], "analyses": plan["analysis_id"], "name": layers[0]["name"],
        "name_or_id": dataset["id"],
    }  # fmt: skip


class Judge:
    """Every answer, and what is wrong with it."""

    def __init__(self, timed: bool) -> None:
        self.timed = timed
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self.largest = 0
        self.wrong: list[str] = []

    def see(self, what: str, status: int, seconds: float, size: int, described: set[str]) -> None:
        self.statuses[status] += 1
        self.slowest = max(self.slowest, seconds)
        self.largest = max(self.largest, size if status >= 400 else 0)
        if status >= 500 or str(status) not in described | {"405", "414", "431"}:
            self.wrong.append(f"{status}: {what}")
        if seconds > MOST_SECONDS and self.timed:
            self.wrong.append(f"{seconds:.1f} s: {what}")
        if size > MOST_BYTES and status >= 400:
            self.wrong.append(f"{size} bytes: {what}")


def generated(service, document, headers, count: int, judge: Judge, real) -> None:
    """So many requests of every operation."""
    every = [each.ok() for each in schemathesis.openapi.from_dict(document).get_all_operations()]
    for operation in sorted(every, key=lambda each: each.method.upper() == "DELETE"):
        _ask(service, operation, headers, count, judge, real)


def _ask(service, operation, headers, count: int, judge: Judge, real) -> None:
    """Half of the requests name a job, a matrix and a model that are there."""
    described = set(operation.definition.raw["responses"])

    @hypothesis.settings(
        max_examples=count, database=None, derandomize=True, deadline=None,
        suppress_health_check=list(HealthCheck), phases=[hypothesis.Phase.generate],
    )  # fmt: skip
    @hypothesis.given(case=operation.as_strategy(), there=booleans())
    def ask(case, there):
        if there:
            _name_real(case, real)
        case.headers = {**(case.headers or {}), **headers}
        began = time.monotonic()
        answer = case.call(base_url=service.url)
        seconds = time.monotonic() - began
        if answer.status_code >= 400:
            service.bodies.append(answer.content)
        what = case.as_curl_command()[:300]
        judge.see(what, answer.status_code, seconds, len(answer.content), described)

    ask()


def _name_real(case, real) -> None:
    kind = "analyses" if "/analyses" in case.operation.path else "plans"
    own = {"job_id": real[kind], "name": real["name"], "name_or_id": real["name_or_id"]}
    for name in own.keys() & set(case.path_parameters or {}):
        case.path_parameters[name] = own[name]
    for place in (case.query, case.body):
        if isinstance(place, dict) and "model" in place:
            place["model"] = "org/tiny"


def test_19_generated_and_wrong_requests(service, scale, models, found):
    api = service.programs[0]
    key = service.key("ann")
    with service.client(key) as http:
        document = http.get("/openapi.json").json()
        real = finished(http)
        before, judge = resident(api), Judge(scale.timed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for headers in (key, {}):
                generated(service, document, headers, scale.cases, judge, real)
        cases = fixed(str(models / "tiny"))
        for method, path, how in cases:
            began = time.monotonic()
            answer = http.request(method, path, **how)
            seconds, size = time.monotonic() - began, len(answer.content)
            what = f"{method} {path[:80]} {str(how)[:120]}"
            judge.see(
                what,
                answer.status_code,
                seconds,
                size,
                {"400", "401", "403", "404", "413", "415", "422"},
            )
        grown = resident(api) - before
    found(
        "19 wrong requests", generated=sum(judge.statuses.values()) - len(cases), fixed=len(cases),
        statuses=dict(sorted(judge.statuses.items())), slowest=judge.slowest,
        largest_error=judge.largest, grown_MB=grown / 1e6, wrong=len(judge.wrong),
    )  # fmt: skip
    assert judge.wrong == [], "\n".join(judge.wrong)
    assert len(cases) >= 40
    assert grown <= MOST_GROWTH
    assert not service.leaks()
