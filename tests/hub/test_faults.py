"""A fault strikes the requests its rule names, and no others."""

from tests.hub import actions
from tests.hub.faults import Fault
from tests.hub.wire import BIG, DATA, FILE, ask, spoil, stored


def test_rules_choose_requests(hub):
    fault = spoil(hub, actions.status(500), path="small", method="GET", skip=1, times=2)
    ask(hub, BIG)
    ask(hub, FILE, "HEAD")
    assert [ask(hub, FILE)[0] for _ in range(5)] == [200, 500, 500, 200, 200]
    assert fault.fired == 2
    assert [record.status for record in hub.requests if record.method == "HEAD"] == [200]


def test_a_rate_is_drawn_from_its_seed(hub):
    def drawn(seed: int) -> list[int]:
        hub.faults = [Fault(actions.status(503), rate=0.3, seed=seed)]
        return [ask(hub, FILE)[0] for _ in range(60)]

    first = drawn(0)
    assert first == drawn(0) != drawn(1)
    assert 8 <= first.count(503) <= 30


def test_faults_of_bodies_leave_other_requests_alone(hub):
    fault = spoil(hub, actions.cut(10), path="big")
    assert ask(hub, BIG)[0] == 302
    assert ask(hub, BIG, "HEAD")[0] == 302
    assert fault.fired == 0
    assert ask(hub, stored(hub))[2] == DATA[:10]
    assert fault.fired == 1


def test_faults_of_one_origin(hub):
    spoil(hub, actions.status(503), origin="cdn")
    assert ask(hub, BIG)[0] == 302
    assert ask(hub, stored(hub))[0] == 503
