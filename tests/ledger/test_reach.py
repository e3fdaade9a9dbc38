"""Whose jobs somebody sees: an owner's or anybody's, those of private models or not."""

import pytest

from ledger.errors import NotFound
from ledger.jobs import Filter, get, list_jobs
from ledger.reach import Reach
from tests.ledger.make import add_job

ALL = {("ann", False), ("ann", True), ("ben", False), ("ben", True)}


@pytest.mark.parametrize(
    ("reach", "seen"),
    [
        (Reach("ann"), {("ann", False)}),
        (Reach("ann", restricted=True), {("ann", False), ("ann", True)}),
        (Reach(None), {("ann", False), ("ben", False)}),
        (Reach(None, restricted=True), ALL),
        (Reach("eve", restricted=True), set()),
    ],
)
def test_what_is_out_of_reach_is_not_there(database, reach, seen):
    with database.write() as connection:
        made = {
            (owner, restricted): add_job(connection, owner=owner, restricted=restricted)
            for owner, restricted in ALL
        }
    with database.read() as connection:
        listed = {row["id"] for row in list_jobs(connection, reach, Filter("analysis"))}
        assert listed == {made[which] for which in seen}
        for which, job_id in made.items():
            if which in seen:
                assert get(connection, reach, "analysis", job_id)["id"] == job_id
            else:
                with pytest.raises(NotFound, match=job_id):
                    get(connection, reach, "analysis", job_id)
