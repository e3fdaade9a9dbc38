"""What the store in the database does beyond the promises of every store."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from analyzer.tails import fit
from ledger.errors import DatabaseUnavailable
from ledger.tables import artifacts, spectra
from tests.ledger.make import count, waits
from tests.ledger.test_store import KEY, OTHER, VALUES, stored, values_of

FIT = fit(stored().spectrum)
THIRD = replace(KEY, matrix="third")
FILES = pytest.mark.parametrize("settings", [{}, {"inline_bytes": 0}], ids=["rows", "files"])


@pytest.fixture
def store(ledger):
    return ledger.store()


def damage(ledger, digest=None):
    """Change one byte of every artifact, wherever it lies."""
    with ledger.database.write() as connection:
        for row in connection.execute(artifacts.select()).all():
            if row.content is None:
                path = ledger.settings.data / "artifacts" / row.sha256[:2] / row.sha256
                content = path.read_bytes()
                path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            else:
                wrong = row.content[:-1] + bytes([row.content[-1] ^ 1])
                connection.execute(
                    artifacts.update().where(artifacts.c.sha256 == row.sha256).values(content=wrong)
                )


@FILES
@pytest.mark.parametrize("again", [VALUES, VALUES * 2], ids=["the same", "other bits"])
@pytest.mark.parametrize("checked", [True, False])
def test_a_damaged_spectrum_is_as_if_it_was_never_solved(make_ledger, settings, again, checked):
    ledger = make_ledger(**settings)
    store = ledger.store()
    store.put(KEY, stored(), "model", checked=checked)
    damage(ledger)
    store.preload([KEY])
    assert store.get(KEY) is store.get_unchecked(KEY) is None
    store = ledger.store()
    assert store.get(KEY) is store.get_unchecked(KEY) is None
    store.put(KEY, stored(again), "model")
    assert values_of(store.get(KEY)) == again.tolist()
    store.put(KEY, stored(VALUES * 3), "model")
    assert values_of(store.get(KEY)) == again.tolist()


@pytest.mark.parametrize("settings", [{"inline_bytes": 0}])
def test_a_file_that_is_gone_is_damaged_too(make_ledger, settings):
    ledger = make_ledger(**settings)
    store = ledger.store()
    store.put(KEY, stored(), "model")
    for path in (ledger.settings.data / "artifacts").rglob("*"):
        if path.is_file():
            path.unlink()
            path.mkdir()  # cannot even be opened
    assert store.get(KEY) is None


def everything(store, keys):
    return [
        (key.matrix, values_of(store.get(key)), values_of(store.get_unchecked(key)),
         store.get_fit(key, "hill"), store.get_fit(key, "ks"))
        for key in keys
    ]  # fmt: skip


def test_what_was_preloaded_is_what_single_reads_find(ledger, store):
    keys = [replace(KEY, matrix=str(number)) for number in range(1100)]
    for number, key in enumerate(keys[:6]):
        store.put(key, stored(VALUES * (number + 1)), "model", checked=number % 2 == 0)
        if number % 3:
            store.put_fits(key, {"hill": fit(stored(VALUES ** (number + 1)).spectrum)})
    keys = [*keys[:8], *keys[-2:]]
    ahead = ledger.store()
    ahead.preload([*keys, *(replace(KEY, matrix=str(number)) for number in range(8, 1100))])
    assert everything(ahead, keys) == everything(ledger.store(), keys)
    assert everything(ahead, keys[:1])[0][1] == VALUES.tolist()


def test_what_was_preloaded_is_asked_for_no_more(ledger, store):
    store.put(KEY, stored(), "model")
    store.put_fits(KEY, {"hill": FIT})
    ahead = ledger.store()
    ahead.preload([KEY, OTHER])
    with ledger.database.write() as connection:
        connection.execute(spectra.delete())
    assert values_of(ahead.get(KEY)) == VALUES.tolist()
    assert ahead.get_fit(KEY, "hill") == FIT
    assert ahead.get(OTHER) is None
    ledger.store().put(OTHER, stored(), "model")
    assert ahead.get(OTHER) is None


@pytest.mark.parametrize("change", ["put", "confirm", "forget", "put unchecked"])
def test_what_is_changed_after_it_was_preloaded_is_seen(ledger, store, change):
    store.put(KEY, stored(), "model", checked=False)
    store.preload([KEY, OTHER])
    if change == "put":
        store.put(KEY, stored(VALUES * 2), "model")
        assert values_of(store.get(KEY)) == (VALUES * 2).tolist()
    elif change == "confirm":
        store.confirm(KEY, "a" * 64)
        assert values_of(store.get(KEY)) == VALUES.tolist()
    elif change == "forget":
        store.forget(KEY)
        assert store.get_unchecked(KEY) is None
    else:
        store.put(OTHER, stored(), "model", checked=False)
        assert values_of(store.get_unchecked(OTHER)) == VALUES.tolist()


def test_a_fit_that_is_kept_after_it_was_preloaded_is_seen(store):
    store.put(KEY, stored(), "model")
    store.put_fits(KEY, {"hill": fit(stored(VALUES**2).spectrum)})
    store.preload([KEY])
    store.put_fits(KEY, {"hill": FIT})
    store.put_fits(KEY, {"ks": FIT})
    assert store.get_fit(KEY, "hill") == store.get_fit(KEY, "ks") == FIT


def test_fits_of_what_was_unchecked_go_with_it(ledger, store):
    for key in (KEY, OTHER):
        store.put(key, stored(), "model", checked=False)
        store.put_fits(key, {"hill": FIT})
    store.preload([KEY, OTHER])
    store.put(KEY, stored(VALUES * 2), "model")
    store.forget(OTHER)
    for each in (store, ledger.store()):
        assert each.get_fit(KEY, "hill") is each.get_fit(OTHER, "hill") is None


def test_a_checked_spectrum_is_kept_whatever_comes_unchecked_meanwhile(ledger, meanwhile):
    """Two workers solve one matrix: one reads its file in ranges, the other read it whole."""
    store, other = ledger.store(), ledger.store()
    with ledger.database.write() as connection:
        row = {
            "digest": KEY.digest, "checked": False, "fields": {}, "model": "m", "status": "ok",
            "windows": 1, "dtype": "<f8", "tensor_sha256": "b" * 64, "created_at": 1.0,
            "artifact": ledger.artifacts.put(connection, (VALUES * 2).tobytes()),
        }  # fmt: skip
        connection.execute(spectra.insert().values(row))
        put = meanwhile(other.put, KEY, stored(), "model")
        assert waits(put)
    put.result(10)
    assert values_of(store.get(KEY)) == VALUES.tolist()


def test_values_take_four_bytes_where_that_loses_nothing(ledger, store):
    store.put(KEY, stored(np.float64(np.float32(VALUES))), "model")
    store.put(OTHER, stored(), "model")
    store.put(THIRD, stored(np.full(64, np.nan)), "model")
    with ledger.database.read() as connection:
        query = select(spectra.c.dtype, artifacts.c.bytes).join(artifacts)
        found = sorted(tuple(row) for row in connection.execute(query.order_by(spectra.c.digest)))
    assert found == [("<f4", 256), ("<f4", 256), ("<f8", 512)]


def test_equal_spectra_are_kept_once(ledger, store):
    for key in (KEY, OTHER, THIRD):
        store.put(key, stored(), "model")
    assert count(ledger.database, artifacts) == 1
    assert values_of(store.get(THIRD)) == VALUES.tolist()


def test_a_store_waits_for_its_database_as_long_as_it_is_told(ledger, monkeypatch):
    failures = []

    def away(*_, **__):
        failures.append(1)
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(type(ledger.database), "read", away)
    with pytest.raises(DatabaseUnavailable):
        ledger.store().get(KEY)
    assert len(failures) == 1
    from ledger.spectra import LedgerStore

    patient = LedgerStore(ledger.database, ledger.artifacts, patience=30.0)
    monkeypatch.undo()
    real = type(ledger.database).read

    def back(self):
        if len(failures) < 3:
            away()
        return real(self)

    monkeypatch.setattr(type(ledger.database), "read", back)
    assert patient.get(KEY) is None
    assert len(failures) == 3
