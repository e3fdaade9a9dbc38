"""Answers that are no plan: problems, failed jobs, other servers, and a service that is busy."""

import json

import pytest

from service.cli.failures import exit_code
from service.client.errors import JobFailed, Refused
from service.problems import TITLES
from tests.service.canned import answer, envelope, problem, server
from tests.service.command import fails, run

PLAN = ("plan", "org/model", "-b", 30, "-q")
HASTY = "import service.client.server as server; server.DEADLINE = 2.5"
"""A minute would be waited for a busy service otherwise."""

EXITS = {
    3: {"hub_unavailable", "database_unavailable"},
    4: {"model_not_found", "model_gated", "revision_not_found", "path_not_allowed", "not_found"},
    5: {"corrupt_file", "unreadable_file", "missing_shard", "unsupported_format",
        "nothing_to_analyse", "bad_model"},
}  # fmt: skip
"""Exit codes as issue 5 and the command without a service have them."""

BROKEN_WORK = {"damaged_artifact", "deadline_exceeded", "internal_error", "spectra_missing",
               "store_error", "worker_lost"}  # fmt: skip
TYPED_WRONG = {"budget_infeasible", "invalid_option"}


@pytest.fixture
def plan(tmp_path) -> dict:
    """A plan that the command made by itself."""
    (tmp_path / "scores.json").write_text("[2, 1, 1]")
    words = ("plan", "--scores", tmp_path / "scores.json", "-b", 12, "--beta", 1, "--json")
    return json.loads(run(*words).stdout)


def test_every_code_has_its_exit_code():
    by_code = {code: number for number, codes in EXITS.items() for code in codes}
    assert by_code.keys() | BROKEN_WORK | TYPED_WRONG <= TITLES.keys()
    for code in TITLES:
        refused = by_code.get(code, 1 if code in BROKEN_WORK else 2)
        assert exit_code(Refused(code, "")) == refused, code
        failed = by_code.get(code, 2 if code in TYPED_WRONG else 1)
        assert exit_code(JobFailed(code, "")) == failed, code


@pytest.mark.parametrize(
    ("code", "status", "exit_with"),
    [("model_gated", 403, 4), ("bad_model", 422, 5), ("unauthorized", 401, 2), ("new", 418, 2)],
)
def test_a_problem_is_one_line(code, status, exit_with):
    with server(problem(code, status, "it is\nso\x1b[31m; do that")) as (canned, there):
        line = fails(*PLAN, code=exit_with, message="error: it is?so?[31m; do that", **there)
        assert len(canned.asked) == 1
    assert line == "error: it is?so?[31m; do that"


@pytest.mark.parametrize(
    ("code", "exit_with"), [("worker_lost", 1), ("corrupt_file", 5), ("budget_infeasible", 2)]
)
def test_a_failed_job_is_one_line(code, exit_with):
    error = {"code": code, "title": "x", "detail": "it broke; retry", "retryable": True}
    first, last = envelope("running"), envelope("failed", error=error)
    with server(answer(202, first, Retry_After="0"), answer(200, last)) as (canned, there):
        fails(*PLAN, code=exit_with, message="error: it broke; retry", **there)
        assert [what for what, _, _ in canned.asked] == ["POST /v1/plans", "GET /v1/plans/pln_1"]


def test_a_cancelled_job_fails():
    with server(answer(202, envelope("cancelled"))) as (_, there):
        fails(*PLAN, code=1, message="pln_1 was cancelled", **there)


@pytest.mark.parametrize(
    "found",
    [
        answer(200, "<html>hello</html>", "text/html"),
        answer(200, "{", "application/json"),
        answer(404, {"detail": "Not Found"}),
        answer(502, "bad gateway", "text/plain"),
        answer(200, ["a list"]),
        answer(200, {"id": "pln_1", "status": "done"}),
        answer(201, envelope("succeeded", plan={"schema": "tailora.plan/2"})),
        answer(201, envelope("succeeded")),
        answer(204),
    ],
)
def test_another_server_or_version(found):
    with server(found) as (canned, there):
        line = fails(*PLAN, code=3, message="check TAILORA_URL", **there)
        assert there["TAILORA_URL"].rstrip("/") in line
        assert len(canned.asked) == 1


def test_a_busy_service_is_asked_again_for_the_same(plan):
    """With pauses as it says, and with one idempotency key, so that nothing is done twice."""
    busy = problem("database_unavailable", 503, Retry_After="1")
    done = answer(201, envelope("succeeded", plan=plan))
    limited = answer(429, "slow down", "text/plain", Retry_After="0")
    with server(busy, limited, done) as (canned, there):
        assert json.loads(run(*PLAN, "--json", **there).stdout) == plan
    keys = {headers["idempotency-key"] for _, headers, _ in canned.asked}
    bodies = {content for _, _, content in canned.asked}
    assert (len(canned.asked), len(keys), len(bodies)) == (3, 1, 1)
    assert canned.times[1] - canned.times[0] >= 1.0
    assert json.loads(bodies.pop())["model"] == "org/model"


def test_another_run_has_another_key(plan):
    with server(answer(201, envelope("succeeded", plan=plan))) as (canned, there):
        run(*PLAN, **there)
        run(*PLAN, **there)
    assert len({headers["idempotency-key"] for _, headers, _ in canned.asked}) == 2


@pytest.mark.parametrize(("wait", "times"), [("1", 3), ("3600", 1)])
def test_patience_ends(wait, times):
    with server(problem("hub_unavailable", 503, Retry_After=wait)) as (canned, there):
        fails(*PLAN, code=3, message="it is so", before=HASTY, **there)
        assert len(canned.asked) == times


@pytest.mark.parametrize("status", [500, 503])
def test_what_does_not_ask_for_another_try_gets_none(status):
    with server(problem("internal_error", status)) as (canned, there):
        fails(*PLAN, code=1, message="it is so", **there)
        assert len(canned.asked) == 1


def test_a_service_that_restarts_meanwhile_is_waited_for(plan):
    """Only once it has answered: a wrong address is said at once."""
    first, done = envelope("queued"), envelope("succeeded", plan=plan)
    with server(answer(202, first), "hang up", answer(200, done)) as (canned, there):
        assert json.loads(run(*PLAN, "--json", **there).stdout) == plan
        assert len(canned.asked) == 3
    with server("hang up", answer(200, done)) as (canned, there):
        fails(*PLAN, code=3, message="does not answer", **there)
        assert len(canned.asked) == 1


def test_nobody_listens():
    fails(*PLAN, code=3, message="does not answer (ConnectError); check TAILORA_URL",
          TAILORA_URL="http://127.0.0.1:1")  # fmt: skip


def test_the_key_goes_to_the_service_alone(plan):
    key = "tlr_secret0123456789"
    done = answer(201, envelope("succeeded", plan=plan))
    with server(done) as (other, elsewhere), server(done) as (canned, there):
        run(*PLAN, TAILORA_API_KEY=key, **there)
        assert canned.asked[0][1]["authorization"] == f"Bearer {key}"
        canned.answers = [answer(307, "", Location=elsewhere["TAILORA_URL"] + "v1/plans")]
        found = run("--debug", *PLAN, code=1, TAILORA_API_KEY=key, **there)
        assert "answers 307" in found.stderr
        assert key not in found.stderr + found.stdout
        run(*PLAN, **there, code=3)
        assert "authorization" not in canned.asked[-1][1]
        assert other.asked == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://host", "http"),
        ("127.0.0.1:8000", "http"),
        ("http://me:secret0@host", "TAILORA_API_KEY"),
        ("http://", "no host"),
        ("http://host:port", "no URL"),
        ("http://host:99999", "no URL"),
        ("http://host/?a=b", "? or #"),
        ("http://[host", "no URL"),
        ("http://two words", "no host"),
        ("http://host\x01", "no host"),
        ("http://.", "no host"),
        ("http://" + "a" * 64, "no host"),
        ("http://ü..x", "no host"),
        ("http://host/a b", "path"),
    ],
)
def test_a_wrong_address(url, why):
    line = fails(*PLAN, code=2, message="TAILORA_URL is wrong", TAILORA_URL=url)
    assert why in line
    assert "secret0" not in line


def test_a_key_that_cannot_be_sent():
    fails(*PLAN, code=2, message="TAILORA_API_KEY holds characters",
          TAILORA_URL="http://127.0.0.1:1", TAILORA_API_KEY="tlr_é")  # fmt: skip


def test_an_empty_address_is_none(tmp_path):
    fails("plan", tmp_path, "-b", 30, code=4, message="safetensors", TAILORA_URL=" ")
