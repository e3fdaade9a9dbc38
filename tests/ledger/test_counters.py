"""What was done so far, counted by several at once."""

from functools import partial

from ledger import counters
from ledger.counters import Tally, fold, read_counters
from ledger.tables import counters as table
from tests.ledger.make import at_once, count


def test_sums_add_up_and_peaks_rise(database):
    def add(amount, peak):
        tally = Tally()
        tally.add("bytes", amount, origin="hub")
        tally.add("bytes", 1, origin="local")
        tally.add("bytes", 1, origin="hub")
        tally.add("worker_peak_bytes", peak, device="cpu")
        with database.write() as connection:
            tally.write(connection)

    at_once(*(partial(add, 10, peak) for peak in (5.0, 9.0, 7.0)))
    with database.read() as connection:
        assert read_counters(connection) == [
            ("bytes", {"origin": "hub"}, 33.0),
            ("bytes", {"origin": "local"}, 3.0),
            ("worker_peak_bytes", {"device": "cpu"}, 9.0),
        ]


def test_times_fall_into_buckets(database):
    tally = Tally()
    for seconds in (0.05, 0.1, 0.3, 1e6):
        tally.observe("wait", seconds, kind="plan")
    with database.write() as connection:
        tally.write(connection)
    with database.read() as connection:
        found = {
            (name, labels.get("le")): value for name, labels, value in read_counters(connection)
        }
    assert found == {
        ("wait_bucket", "0.1"): 2.0,
        ("wait_bucket", "0.5"): 1.0,
        ("wait_bucket", "+Inf"): 1.0,
        ("wait_sum", None): 0.05 + 0.1 + 0.3 + 1e6,
    }


def test_folding_changes_nothing_that_is_read(database, monkeypatch):
    monkeypatch.setattr(counters, "MOST_ROWS", 5)

    def add():
        tally = Tally()
        tally.add("bytes", 2.0)
        tally.add("worker_peak_bytes", 7.0)
        with database.write() as connection:
            tally.write(connection)

    def fold_now():
        with database.write() as connection:
            return fold(connection)

    assert not fold_now()
    at_once(*[add] * 4, *[fold_now] * 3, *[add] * 4, *[fold_now] * 3)
    with database.read() as connection:
        assert read_counters(connection) == [
            ("bytes", {}, 16.0), ("worker_peak_bytes", {}, 7.0),
        ]  # fmt: skip
    while fold_now():
        assert count(database, table) <= 5
