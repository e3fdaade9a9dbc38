"""What must never leave: a token into any output or file, a request to where nobody sent us."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.hub import actions
from tests.hub.faults import Fault
from tests.service.command import QUICK, fails, run
from tests.service.conftest import BUDGET

TOKEN = "hf_secretFAULTS0123456789"
PLAN = ("plan", "org/private", *BUDGET)


@pytest.fixture
def private(small, online):
    """A private model and an environment that may read it."""
    online.hub.add("org/private", small.folder, private={"me"})
    online.hub.tokens[TOKEN] = "me"
    online.environment_of_me = {**online.environment, "HF_TOKEN": TOKEN}
    return online


def spoilt(private, fault: Fault | None, words, code: int, **environment) -> str:
    """All that a run printed."""
    private.hub.faults[:] = [fault] if fault else []
    environment = {**private.environment_of_me, **environment}
    found = run(*words, code=code, before=QUICK, **environment)
    assert fault is None or fault.fired >= 1
    return found.stdout + found.stderr


def test_a_token_is_shown_to_the_endpoint_alone(small, private, tmp_path):
    """All ends that a run can have, with and without tracebacks: the token is nowhere."""
    store, out = tmp_path / "store", tmp_path / "plan.json"
    mine = ("--cache", store, "--out", out)
    failing = Fault(actions.status(500), "^/cdn")
    ranged = Fault(actions.ignore_range(), "^/cdn")
    away = Fault(actions.redirect("http://169.254.169.254/"), "/resolve/")
    gated = Fault(actions.status(403, error="GatedRepo"), "/resolve/")
    lost = Fault(actions.reset(), "/revision/")
    swapped = Fault(actions.swap(b"x" * 9000), "^/cdn")
    expired = Fault(actions.status(401), "/revision/")
    printed = [
        spoilt(private, None, (*PLAN, *mine, "--json"), 0),
        spoilt(private, failing, (*PLAN, *mine[:1], tmp_path / "other"), 3),
        spoilt(private, ranged, ("--debug", "inspect", "org/private"), 1),
        spoilt(private, away, ("--debug", "inspect", "org/private"), 1),
        spoilt(private, gated, ("--debug", "inspect", "org/private"), 1),
        spoilt(private, lost, ("--debug", "inspect", "org/private"), 1),
        spoilt(private, swapped, ("inspect", "org/private"), 5),
        spoilt(private, expired, ("inspect", "org/private"), 4),
        spoilt(private, None, ("--debug", "inspect", "org/none"), 1),
        spoilt(private, None, ("inspect", "org/private"), 3, HF_ENDPOINT="http://127.0.0.1:1"),
    ]
    small.check(json.loads(out.read_text()))
    assert sum("Traceback" in text for text in printed) == 5
    assert all(TOKEN not in text for text in printed)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path != small.folder]
    assert len(kept) > 48
    assert all(TOKEN.encode() not in path.read_bytes() for path in kept)
    seen = {(request.origin, request.authorised) for request in private.hub.requests}
    assert seen == {("hub", True), ("cdn", False)}


@pytest.mark.parametrize("token", ["hf_secret\x01x", "hf_secret\u00e9", "hf_secret \n x"])
def test_a_token_that_is_none(online, token):
    """Pasted with something else: said in one line, and never shown."""
    environment = {**online.environment, "HF_TOKEN": token}
    line = fails("inspect", "org/model", code=4, message="HF_TOKEN", before=QUICK, **environment)
    assert "hf_secret" not in line
    debug = run("--debug", "inspect", "org/model", code=1, before=QUICK, **environment)
    assert "hf_secret" not in debug.stderr


def test_a_password_in_the_endpoint(online):
    """A mirror behind a password: used, but not in messages."""
    endpoint = online.hub.endpoint.replace("http://", "http://user:hunter2@")
    environment = {**online.environment, "HF_ENDPOINT": endpoint}
    for model in ("org/none", "org/model@v9"):
        assert "hunter2" not in fails("inspect", model, code=4, message=model.split("@")[0],
                                      **environment)  # fmt: skip
    gated = actions.status(403, error="GatedRepo")
    for action, code, message in (
        (actions.status(500), 3, "answers 500"), (gated, 4, "accept its conditions"),
    ):  # fmt: skip
        fault = Fault(action, "/revision/")
        online.hub.faults[:] = [fault]
        how = {"before": QUICK, **environment}
        assert "hunter2" not in fails("inspect", "org/model", code=code, message=message, **how)
        assert fault.fired


@pytest.fixture
def elsewhere():
    """A server on every address of this machine that nobody may reach; its port."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.setblocking(False)
        yield server.getsockname()[1]
        with pytest.raises(BlockingIOError):
            server.accept()


AWAY = [
    "http://127.0.0.2:{port}/", "//127.0.0.2:{port}/x", "http://2130706434:{port}/",
    "http://0x7f000002:{port}/", "http://127.2:{port}/", "http://0.0.0.0:{port}/",
    "http://[::ffff:127.0.0.2]:{port}/", "http://127.0.0.1@127.0.0.2:{port}/",
    "http://127.0.0.2:{port}\\@127.0.0.1/", "http://127.0.0.2:{port}/.hf.co",
    "http://localhost.:{port}/", "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/",
    "https://hf.co.example/", "https://evilhf.co/", "file:///etc/passwd", "gopher://127.0.0.1/",
    "http://[::1", "http://127.0.0.1:99999/", "http://",
]  # fmt: skip


def test_redirects_lead_nowhere_else(online, elsewhere, tmp_path):
    """From the API and from files: exit 3 and one line, no connection, two at a time."""

    def follow(number: int) -> str:
        target = AWAY[number].format(port=elsewhere)
        model, path = f"org/away{number:02}", "/resolve/" if number % 2 else "/revision/"
        fault = Fault(actions.redirect(target), f"{model}.*{path}|{model}{path}")
        online.hub.faults.append(fault)
        words = ("inspect", model, "--out", tmp_path / f"{number}.json")
        line = fails(*words, code=3, message="org/away", before=QUICK, **online.environment)
        assert fault.fired >= 1
        return line

    folder = next(iter(online.hub.repository("org/model").commits.values()))
    source = folder.files["config.json"].source.parent
    for number in range(len(AWAY)):
        online.hub.add(f"org/away{number:02}", source)
    with ThreadPoolExecutor(2) as pool:
        lines = list(pool.map(follow, range(len(AWAY))))
    print(*lines, sep="\n")
    assert not list(tmp_path.glob("*.json"))


def test_a_listing_that_leads_elsewhere(online, elsewhere):
    """The next page on another origin: it would be shown the token."""
    environment = {**online.environment, "HF_TOKEN": TOKEN}
    online.hub.tokens[TOKEN] = "me"
    for target in (f"http://127.0.0.2:{elsewhere}/", f"{online.hub.cdn}/x", "http://[::1"):
        fault = Fault(actions.headers(Link=f'<{target}>; rel="next"'), "/tree/")
        online.hub.faults[:] = [fault]
        fails("inspect", "org/model", code=3, message="leads elsewhere", **environment)
        assert fault.fired == 1
    assert not [request for request in online.hub.requests if request.origin == "cdn"]


def test_names_that_climb_out(online, tmp_path):
    """A file called ../../x is not a file of the model; nothing is written anywhere."""
    shard = "model-00001-of-00006.safetensors"
    for name in ("../../x.safetensors", "/etc/x.safetensors", "a\\..\\x.safetensors", ".."):
        fault = Fault(actions.rename(shard, name), "/tree/")
        online.hub.faults[:] = [fault]
        environment = {**online.environment, "TAILORA_CACHE": tmp_path / "cache"}
        fails("inspect", "org/model", code=5, message=f"{shard}, which is not there", **environment)
        assert fault.fired == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
