"""The promises of a store of spectra, kept by the folder and by the database alike."""

import time
from dataclasses import replace

import numpy as np
import pytest

from analyzer import tails
from analyzer.spectrum import Spectrum
from analyzer.store import FolderStore, SpectrumKey, StoredSpectrum
from analyzer.tails import fit
from tests.ledger.make import at_once

KEY = SpectrumKey("f" * 64, "layer.weight", "{}", "float64", "gram", 1)
OTHER = replace(KEY, matrix="other")
VALUES = np.geomspace(1e-9, 1.0, 64)
OLD = (1, 2, 3, 1_600_000_000_000_000_000)


def stored(values=VALUES, status="ok", sha256="a" * 64, windows=1) -> StoredSpectrum:
    return StoredSpectrum(Spectrum(np.asarray(values), "float64", status, windows), sha256)


def values_of(found):
    return None if found is None else found.spectrum.values.tolist()


@pytest.fixture(params=["folder", "sqlite", "postgres", "sqlite, files"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def backend(kind) -> str:
    """For the fixtures of the ledger."""
    return kind.split(",")[0]


@pytest.fixture
def store(kind, request, tmp_path):
    if kind == "folder":
        return FolderStore(tmp_path / "store")
    settings = {"inline_bytes": 0} if "files" in kind else {}
    return request.getfixturevalue("make_ledger")(**settings).store()


@pytest.mark.parametrize(
    "values",
    [
        VALUES, np.float32(VALUES).astype(float), VALUES * 1e300, np.full(64, np.nan),
        np.array([-0.0, 5e-324, 1e-45, np.inf, -np.inf, np.nan, 1 / 3, np.float32(1 / 3)]),
        np.array([]), np.array([0.1]), np.full(3000, 1 / 3),
    ],
)  # fmt: skip
def test_values_come_back_to_the_bit(store, values):
    store.put(KEY, stored(values), "model")
    found = store.get(KEY).spectrum.values
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(values))


def test_all_of_a_spectrum_comes_back(store):
    assert store.get(KEY) is None
    store.put(KEY, stored(np.tile(VALUES, 3), "not_finite", "b" * 64, windows=3), "model")
    found = store.get(KEY)
    assert (found.spectrum.status, found.spectrum.precision) == ("not_finite", "float64")
    assert (found.spectrum.windows, found.spectrum.side) == (3, 64)
    assert found.tensor_sha256 == "b" * 64
    assert store.get_unchecked(KEY) is None


@pytest.mark.parametrize(
    "change",
    [
        {"file_sha256": "0" * 64}, {"matrix": "other"}, {"view": '{"start":1}'},
        {"precision": "float32"}, {"solver": "svd"}, {"numerics": 2}, {"sampling": "m4s0"},
        {"packing": "{}"}, {"other_files": ("1" * 64,)},
    ],
)  # fmt: skip
def test_every_part_of_the_key_counts(store, change):
    store.put(KEY, stored(), "model")
    assert store.get(replace(KEY, **change)) is None


def test_the_first_checked_spectrum_stays(store):
    store.put(KEY, stored(), "model")
    store.put(KEY, stored(VALUES * 2, sha256="b" * 64), "another")
    store.put(KEY, stored(VALUES * 3), "model", checked=False)
    found = store.get(KEY)
    assert (values_of(found), found.tensor_sha256) == (VALUES.tolist(), "a" * 64)


def test_the_last_unchecked_spectrum_stays(store):
    store.put(KEY, stored(), "model", checked=False)
    store.put(KEY, stored(VALUES * 2, sha256="b" * 64), "model", checked=False)
    found = store.get_unchecked(KEY)
    assert (values_of(found), found.tensor_sha256) == ((VALUES * 2).tolist(), "b" * 64)
    assert store.get(KEY) is None


def test_a_checked_spectrum_goes_before_an_unchecked_one(store):
    store.put(KEY, stored(), "model", checked=False)
    store.put(KEY, stored(VALUES * 2), "model")
    assert values_of(store.get(KEY)) == (VALUES * 2).tolist()


def test_what_was_confirmed_is_checked(store):
    store.put(KEY, stored(), "model", checked=False)
    store.put(OTHER, stored(), "model", checked=False)
    store.confirm(KEY, "a" * 64)
    assert values_of(store.get(KEY)) == VALUES.tolist()
    assert store.get_unchecked(KEY) is None
    assert store.get(OTHER) is None
    store.put(KEY, stored(VALUES * 2), "model")
    assert values_of(store.get(KEY)) == VALUES.tolist()


def test_only_the_spectrum_of_the_checked_bytes_is_confirmed(store):
    store.put(KEY, stored(sha256="f" * 64), "model", checked=False)
    store.confirm(KEY, "a" * 64)
    assert store.get(KEY) is None
    assert store.get_unchecked(KEY).tensor_sha256 == "f" * 64


def test_only_what_is_unchecked_is_forgotten(store):
    store.put(KEY, stored(), "model", checked=False)
    store.put(OTHER, stored(), "model")
    for key in (KEY, OTHER, replace(KEY, matrix="third")):
        store.forget(key)
    assert store.get_unchecked(KEY) is None
    assert store.get(OTHER) is not None
    store.confirm(KEY, "a" * 64)
    assert store.get(KEY) is None


def test_fits_are_kept_by_estimator_and_version(store, monkeypatch):
    found = fit(stored().spectrum)
    assert store.get_fit(KEY, "hill") is None
    store.put_fits(KEY, {"hill": found})
    assert store.get_fit(KEY, "hill") == found
    assert store.get_fit(KEY, "ks") is None
    assert store.get_fit(OTHER, "hill") is None
    next_one = replace(tails.ESTIMATORS["hill"], version=tails.ESTIMATORS["hill"].version + 1)
    monkeypatch.setitem(tails.ESTIMATORS, "hill", next_one)
    assert store.get_fit(KEY, "hill") is None
    other = fit(stored(VALUES**2).spectrum)
    store.put_fits(KEY, {"hill": other})
    assert store.get_fit(KEY, "hill") == other


@pytest.mark.parametrize("values", [VALUES, np.full(4, np.nan), np.zeros(9)])
def test_fits_of_every_status_come_back(store, values):
    status = "ok" if np.isfinite(values).all() else "not_finite"
    for name in tails.ESTIMATORS:
        found = fit(stored(values, status).spectrum, name)
        store.put_fits(KEY, {name: found})
        assert store.get_fit(KEY, name) == found


def test_hashes_of_files_are_kept_by_all_of_their_identity(store):
    assert store.get_sha256(OLD) is None
    store.put_sha256(OLD, "a" * 64)
    assert store.get_sha256(OLD) == "a" * 64
    for place in range(4):
        other = [*OLD]
        other[place] += 1
        assert store.get_sha256(tuple(other)) is None


@pytest.mark.parametrize(
    ("age", "kept"), [(0.0, False), (1.0, False), (-10.0, False), (30.0, True)]
)
def test_a_hash_under_which_a_change_could_hide_is_not_kept(store, age, kept):
    identity = (1, 2, 3, time.time_ns() - int(age * 1e9))
    store.put_sha256(identity, "a" * 64)
    assert (store.get_sha256(identity) is not None) is kept


def test_spectra_that_come_at_once_are_one(store):
    """Of eight writers one is first, and every reader finds that one, whole."""
    for number in range(3):
        key = replace(KEY, matrix=str(number))

        def put(factor, key=key):
            store.put(key, stored(VALUES * factor, sha256=f"{factor:064x}"), "model")
            return store.get(key).tensor_sha256

        found = at_once(*[lambda factor=factor: put(factor) for factor in range(1, 9)])
        assert len(set(found)) == 1
        assert values_of(store.get(key)) == (VALUES * int(found[0], 16)).tolist()


def test_unchecked_spectra_that_come_at_once_are_one_of_them(store):
    def put(factor):
        store.put(KEY, stored(VALUES * factor, sha256=f"{factor:064x}"), "model", checked=False)
        store.put_fits(KEY, {"hill": fit(stored().spectrum)})
        store.put_sha256(OLD, "a" * 64)

    at_once(*[lambda factor=factor: put(factor) for factor in range(1, 9)])
    found = store.get_unchecked(KEY)
    assert values_of(found) == (VALUES * int(found.tensor_sha256, 16)).tolist()
    assert store.get_sha256(OLD) == "a" * 64
