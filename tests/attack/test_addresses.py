"""Rows 27 and 28: what must not leave, and where nothing may lead."""

import os
import socket
import threading

import pytest

from ledger.keys import revoke_key
from tests.models import write_sharded
from tests.servers.faults import CONNECTED, TOUCHED


@pytest.fixture
def sink():
    """A server that nobody should ever connect to; its port, and how often somebody did."""
    taken: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                try:
                    taken.append(server.accept())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], taken
        ended.set()
        thread.join()


def addresses(port: int, root, outside) -> list[str]:
    """Models that lead elsewhere: by URL, by path, by link, by kind of file."""
    host = f"127.0.0.1:{port}"
    return [
        f"http://{host}/model", f"https://{host}/model", f"//{host}/model", f"{host}/model",
        f"file://{outside}", f"hf://{host}/a", f"git+ssh://{host}/a", f"user@{host}/a",
        f"org/name@http://{host}/", f"org/name@../../{host}", "http://169.254.169.254/latest/meta-data",
        "http://[::1]/model", "ftp://localhost/a", "gopher://localhost/a", "data:text/plain,a",
        "org/..", "../org", "org/../../etc", "org/%2e%2e/%2e%2e", "org\\..\\..", "org/name/../../x",
        "org//name", "~/canary", "~root/canary", str(outside), f"{root}/../outside-canary",
        f"{root}/link-canary", f"{root}/fifo-canary", f"{root}/loop-canary", "/dev/zero",
        "/proc/self/environ", f"{root}/tiny/../../outside-canary", "org/name@main\r\nX: y", "",
    ]  # fmt: skip


def test_28_nothing_leads_out(serve, sink, tmp_path, found):
    port, taken = sink
    root, outside = tmp_path / "root", tmp_path / "outside-canary"
    root.mkdir()
    write_sharded(outside, layers=1, width=64)
    write_sharded(root / "tiny", layers=1, width=64)
    (root / "link-canary").symlink_to(outside)
    (root / "loop-canary").symlink_to(root / "loop-canary")
    os.mkfifo(root / "fifo-canary")
    service = serve(MODELS=str(root))
    api = service.api("tests.servers.faults:watch:canary")
    statuses: dict[int, int] = {}
    with service.client(service.key("ann")) as http:
        assert http.get("/v1/model-info", params={"model": "org/none"}).status_code == 404
        assert CONNECTED in api.text(), "the watch does not see connections"
        api.mark()
        tried = addresses(port, root, outside)
        for model in tried:
            for answer in (
                http.post("/v1/plans", json={"model": model, "expert_budget": 6}),
                http.get("/v1/model-info", params={"model": model}),
            ):
                assert 400 <= answer.status_code < 500, (model, answer.text)
                statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    lines = api.text().splitlines()
    out = [line for line in lines if line.startswith(CONNECTED)]
    touched = [line for line in lines if line.startswith(TOUCHED)]
    found(
        "28 nothing leads out", inputs=len(tried), statuses=statuses,
        connections=len(out + taken), files_outside=len(touched),
    )  # fmt: skip
    assert len(tried) >= 30
    assert (out, taken, touched) == ([], [], [])


def test_27_no_secret_is_found_anywhere(serve, tmp_path, models, found):
    """Keys good, bad and revoked, a private model, a failed job, a database that was away."""
    service = serve()
    service.hub.add("org/private", models / "tiny", private={"operator"})
    service.api()
    service.worker()
    service.dispatcher()
    key, revoked = service.key("ann", "write", "gated"), service.key("old")
    with service.database.write() as connection:
        revoke_key(connection, "old")
    with service.client(key) as http:
        body = {"model": "org/private", "expert_budget": 18}
        plan = http.post("/v1/plans", json=body, headers={"Prefer": "wait=60"}, timeout=90).json()
        assert plan["status"] == "succeeded", plan
        http.post("/v1/plans", json={**body, "expert_budget": 1e6}, headers={"Prefer": "wait=5"})
        http.get("/v1/model-info", params={"model": "org/none"})
        service.postgres.stop()
        assert http.get("/v1/plans").status_code == 503
        service.postgres.start()
    with service.client(revoked) as http:
        assert http.get("/v1/plans").status_code == 401
    with service.client({"Authorization": key["Authorization"] + "x"}) as http:
        assert http.get("/v1/plans").status_code == 401
    leaks = service.leaks()
    service.secrets.add("org/private")
    control = service.leaks()["org/private"]
    found("27 secrets", searched_for=len(service.secrets) - 1, hits=sum(map(len, leaks.values())),
          places_of_the_models_name=len(control))  # fmt: skip
    assert leaks == {}
    assert {"database"} <= set(control), "the search finds nothing at all"
