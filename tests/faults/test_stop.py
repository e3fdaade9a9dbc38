"""A worker that is asked to leave: its units are free at once, and the starts do not count."""

import time


def test_sigterm_under_load(stand, run, keep):
    cluster = stand.cluster
    plan = cluster.submit(stand.models.main)
    leaving = cluster.workers[0]
    name = leaving.identity()

    def held():
        units = cluster.rows.units()
        return [u for u in units if u["worker"] == name and u["state"] == "leased"]

    mine = cluster.wait_for(held)
    began = time.monotonic()
    assert leaving.process.terminate() == 0
    seconds = time.monotonic() - began
    assert not leaving.process.children()
    assert held() == []
    given_back = leaving.lines("worker_left")[-1]["given_back"]
    assert given_back > 0, "it held some when the signal came"
    print(f"left in {seconds:.1f} s, {given_back} given back, {len(mine)} seen before")
    cluster.wait_ended(plan)
    leaving.start()
    tally = keep("a worker leaves", [plan], fired=given_back)
    assert (tally.lost, tally.unexpected, tally.equal) == (0, 0, True)
    assert tally.duplicated == given_back, "leases that their own holder ended early, no others"
    assert tally.results == run.scale.matrices
    assert max(unit["stalls"] for unit in cluster.rows.units()) == 1, "no start was burnt"
