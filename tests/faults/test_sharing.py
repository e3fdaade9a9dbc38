"""Requests for one content share its units; a cancelled one leaves the others alone."""

from collections import Counter

from sqlalchemy import select

from ledger.states import OPEN
from ledger.tables import links, results


def _solved(cluster) -> int:
    """What the workers report."""
    return sum((unit["report"] or {}).get("solved", 0) for unit in cluster.rows.units())


def _kinds(cluster, job_id: str) -> list[str]:
    return [event["type"] for event in cluster.rows.events(job_id)]


def _cancel(cluster, plan: str) -> list[str]:
    """Cancel a plan; it and its analysis."""
    answer = cluster.http.post(f"/v1/plans/{plan}/cancel")
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] in ("cancelling", "cancelled")
    return [plan, answer.json()["analysis_id"]]


def test_the_same_content_is_solved_once_whoever_is_cancelled(stand, run, keep):
    cluster, count = stand.cluster, run.scale.matrices
    first = cluster.submit(stand.models.main)
    cluster.wait_done(count // 6)
    second, third = (cluster.submit(stand.models.main) for _ in range(2))
    cluster.wait_for(cluster.rows.leased)
    cluster.wait_done(count // 3)
    cancelled = _cancel(cluster, second)
    cluster.wait_ended(first, second, third)
    for job_id in cancelled:
        assert _kinds(cluster, job_id)[-2:] == ["cancelling", "cancelled"]
    shared = cluster.rows.all(select(links).where(links.c.job_id == cancelled[1]))
    tally = keep("11 same content", [first, second, third], fired=len(shared), failed=[second])
    jobs = cluster.rows.jobs()
    states = [jobs[plan]["state"] for plan in (first, second, third)]
    assert states == ["succeeded", "cancelled", "succeeded"]
    assert tally.is_clean
    assert len(cluster.rows.units()) == tally.starts == tally.results == count
    assert _solved(cluster) == count
    assert set(Counter(cluster.solves()).values()) == {1}
    digests = {row["job_id"]: row["digest"] for row in cluster.rows.all(select(results))}
    assert digests[first] == digests[third]
    assert digests[first] is not None
    assert second not in digests


def test_whoever_is_cancelled_alone_stops(stand, run):
    cluster, count = stand.cluster, run.scale.matrices
    plan = cluster.submit(stand.models.main)
    cluster.wait_done(count // 6)
    cluster.wait_for(cluster.rows.leased)
    family = _cancel(cluster, plan)
    cluster.wait_ended(*family)
    for job_id in family:
        assert cluster.rows.jobs()[job_id]["state"] == "cancelled"
        assert _kinds(cluster, job_id)[-2:] == ["cancelling", "cancelled"]
    stopped = [c for c in cluster.rows.changes() if (c.was, c.became) == ("leased", "cancelled")]
    assert stopped, "whatever was being solved went on to its end"
    assert not [unit for unit in cluster.rows.units() if unit["state"] in OPEN]
    assert len(cluster.solves()) < count
    assert _solved(cluster) <= len(cluster.rows.spectra()) < count
    assert not [change for change in cluster.rows.changes() if change.is_forbidden]
