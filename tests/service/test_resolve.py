"""What a training calls its data by: an uploaded one's id, a registered one's name."""

import pytest

from ledger.errors import NotFound
from ledger.reach import Reach
from service.datasets.resolve import Found, resolve
from tests.ledger.conftest import *  # noqa: F403 - a ledger on each database
from tests.ledger.test_datasets import upload


def test_an_uploaded_one_by_its_id(ledger):
    with ledger.database.write() as connection:
        dataset_id = upload(connection, ledger.artifacts)
        found = resolve(ledger, connection, Reach("ann"), dataset_id)
        assert (found.id, found.name, found.format, found.path) == (
            dataset_id,
            "a.csv",
            "csv",
            None,
        )
        assert len(found.sha256) == 64
        with pytest.raises(NotFound, match=dataset_id):
            resolve(ledger, connection, Reach("ben"), dataset_id)


def test_a_registered_one_by_its_name(make_ledger, tmp_path):
    folder = tmp_path / "registered"
    folder.mkdir()
    (folder / "a.csv").write_text("text\na\n")
    (tmp_path / "secret.csv").write_text("text\na\n")
    ledger = make_ledger(datasets=str(folder))
    with ledger.database.read() as connection:
        found = resolve(ledger, connection, Reach("ann"), "a.csv")
        assert found == Found(None, "a.csv", "csv", 7, None, None, folder.resolve() / "a.csv")
        for name in ("../secret.csv", str(folder / "a.csv"), "dts_x", "b.csv", "dts_\n"):
            with pytest.raises(NotFound, match="source=registered"):
                resolve(ledger, connection, Reach("ann"), name)
