"""Rows 5 to 7 and 10: Redis dies, forgets, is away or silent; messages come again and again."""

import random
import threading
import time

from sqlalchemy import select

from ledger.settings import Settings
from ledger.tables import units
from tests.faults.kills import moments
from tests.servers.redis import Redis
from worker.app import ANALYZE, TASK, make_app


def test_5_redis_is_killed_and_emptied(stand, run, chance, keep):
    plan = stand.cluster.submit(stand.models.main)
    kills, flushes = run.scale.redis_kills, run.scale.redis_flushes
    strikes = [*[_kill] * kills, *[Redis.flush] * flushes]
    chance.shuffle(strikes)
    lost = []
    for number in moments(stand.cluster, len(strikes)):
        if not lost:  # later ones find few, while those that were lost count as sent
            stand.cluster.wait_for(lambda: _waiting(stand))
        lost.append(_waiting(stand))
        strikes[number](stand.redis)
    stand.cluster.wait_ended(plan)
    print(f"messages lost: {lost}")
    tally = keep("5 Redis killed, emptied", [plan], fired=len(lost), asked=kills + flushes)
    assert sum(lost) >= 1
    assert tally.is_clean
    assert tally.results == tally.starts == run.scale.matrices


def _kill(redis: Redis) -> None:
    """Without what it was told, it comes back."""
    redis.kill()
    time.sleep(0.5)
    redis.start()


def _waiting(stand) -> int:
    """Messages that would be lost now."""
    with stand.redis.client() as client:
        return client.llen(ANALYZE)


def test_6_redis_is_away_while_work_is_submitted(stand, run, keep):
    cluster = stand.cluster
    stand.redis.kill()
    began = time.monotonic()
    answers = [_timed(cluster, model) for model in [stand.models.main, *stand.models.tiny]]
    fired = sum(not stand.redis.process.running for _ in answers)
    time.sleep(max(0.0, began + run.scale.outage - time.monotonic()))
    assert cluster.rows.starts() == []
    stand.redis.start()
    returned = cluster.rows.now()
    cluster.wait_for(cluster.rows.starts)
    first = cluster.rows.starts()[0].at - returned
    plans = [answer.json()["id"] for _, answer in answers]
    cluster.wait_ended(*plans)
    slowest = max(seconds for seconds, _ in answers)
    print(f"slowest submission {slowest:.2f} s, first start {first:.1f} s after the return")
    tally = keep("6 Redis away", plans, fired=fired, asked=run.scale.submissions)
    assert {answer.status_code for _, answer in answers} == {202}
    assert tally.is_clean
    assert tally.starts == run.scale.matrices + 2 * run.scale.submissions


def test_7_redis_is_silent(stand, run, keep):
    cluster = stand.cluster
    plan = cluster.submit(stand.models.main)
    cluster.wait_done(run.scale.matrices // 6)
    stand.proxy.switch("silent")
    silent, silence = cluster.rows.now(), threading.Event()
    timer = threading.Timer(run.scale.silence, silence.set)
    timer.start()
    answers = [_timed(cluster, model) for model in stand.models.tiny]
    assert not silence.is_set(), "the submissions outlasted the silence"
    silence.wait()
    waited = [line for line in cluster.dispatcher.lines("loop_waits")]
    stand.proxy.switch("pass")
    returned = cluster.rows.now()
    back = cluster.wait_for(lambda: cluster.rows.starts(returned))[0].at - returned
    plans = [plan, *(answer.json()["id"] for _, answer in answers)]
    cluster.wait_ended(*plans)
    slowest = max(seconds for seconds, _ in answers)
    print(f"slowest submission {slowest:.2f} s, workers back {back:.1f} s after the silence")
    started = [c for c in cluster.rows.starts(silent + 5) if c.at < returned]
    tally = keep("7 Redis silent", plans, fired=len(waited))
    assert {answer.status_code for _, answer in answers} == {202}
    assert not started, "the silent Redis gave work out"
    assert tally.is_clean
    assert tally.results == tally.starts == run.scale.matrices + 2 * run.scale.submissions


def _timed(cluster, model):
    """The answer to a submission, and the seconds that it took."""
    began = time.monotonic()
    answer = cluster.post(model)
    return time.monotonic() - began, answer


def test_10_messages_come_three_times_and_after_the_end(stand, run, chance, keep):
    cluster = stand.cluster
    app = make_app(Settings(broker_url=stand.redis.url))
    plan = cluster.submit(stand.models.main)
    cluster.wait_for(cluster.rows.units)
    _publish(app, 2 * _everything(cluster), chance)
    cluster.wait_ended(plan)
    _publish(app, _everything(cluster), chance)
    sent = 3 * len(_everything(cluster))
    refused = cluster.wait_for(lambda: _refused(cluster, sent))
    app.close()
    tally = keep("10 messages tripled", [plan], fired=refused, asked=2 * run.scale.matrices)
    assert tally.is_clean
    assert tally.results == tally.starts == run.scale.matrices
    assert [unit["attempt"] for unit in cluster.rows.units("outline")] == [1]


def _everything(cluster) -> list[str]:
    return [unit["id"] for unit in cluster.rows.all(select(units.c.id))]


def _publish(app, unit_ids: list[str], chance: random.Random) -> None:
    chance.shuffle(unit_ids)
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for unit_id in unit_ids:
            app.send_task(TASK, args=[unit_id], queue=ANALYZE, producer=producer)


def _refused(cluster, sent: int) -> int:
    """Messages that a worker did nothing for, once all of ours were delivered."""
    found = len(cluster.lines("unit_not_taken"))
    starts = len(cluster.rows.starts())
    return found if found + starts >= sent else 0
