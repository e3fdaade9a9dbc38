"""Red whatever is missing, also where the database takes requests and says nothing."""

import time

import pytest

from ledger import presence
from ledger.presence import Worker


@pytest.fixture
def over_postgres(make_api, postgres_url):
    return make_api(database_url=postgres_url)


def arrive(api):
    with api.ledger.database.write() as connection:
        presence.arrive(connection, Worker("wrk_1", "host", "analyze", "cpu", 1, "0"))


def test_no_worker(api):
    answer = api.http.get("/readyz")
    assert answer.status_code == 503
    assert [answer.json()[part]["ok"] for part in ("database", "migrations", "workers")] == [
        True, True, False,
    ]  # fmt: skip
    arrive(api)
    assert api.http.get("/readyz").status_code == 200
    with api.ledger.database.write() as connection:
        presence.leave(connection, "wrk_1")
    assert api.http.get("/readyz").status_code == 503


def test_tables_of_another_version(api):
    arrive(api)
    with api.ledger.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    found = api.http.get("/readyz").json()
    assert (found["ready"], found["migrations"]["ok"]) == (False, False)


def test_a_database_that_hangs(over_postgres, postgres):
    arrive(over_postgres)
    assert over_postgres.http.get("/readyz").status_code == 200
    postgres.pause()
    for _ in range(2):
        began = time.monotonic()
        answer = over_postgres.http.get("/readyz")
        assert answer.status_code == 503
        assert not answer.json()["database"]["ok"]
        assert time.monotonic() - began < 15
    assert over_postgres.http.get("/healthz").status_code == 200
    postgres.resume()
    assert over_postgres.http.get("/readyz").json()["database"]["ok"]
