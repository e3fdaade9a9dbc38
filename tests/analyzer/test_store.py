"""The folder of kept spectra: whole or absent, first wins, shared by processes."""

import multiprocessing
import os
import time
from dataclasses import replace

import numpy as np
import pytest

from analyzer.errors import StoreError
from analyzer.spectrum import Spectrum
from analyzer.store import FolderStore, SpectrumKey, StoredSpectrum, default_folder
from analyzer.tails import fit

KEY = SpectrumKey("f" * 64, "layer.weight", "{}", "float64", "gram", 1)
VALUES = np.geomspace(1e-9, 1.0, 64)


def stored(values=VALUES, status="ok") -> StoredSpectrum:
    return StoredSpectrum(Spectrum(np.asarray(values), "float64", status), "a" * 64)


@pytest.fixture
def store(own_cache) -> FolderStore:
    return FolderStore(own_cache)


def test_what_is_put_comes_back(store):
    assert store.get(KEY) is None
    store.put(KEY, stored(), "model")
    found = store.get(KEY)
    np.testing.assert_array_equal(found.spectrum.values, VALUES)
    assert found.spectrum.precision == "float64"
    assert found.tensor_sha256 == "a" * 64


def test_windows_come_back(store):
    windows = Spectrum(np.tile(VALUES, 3), "float64", windows=3)
    store.put(KEY, StoredSpectrum(windows, "a" * 64), "model")
    found = store.get(KEY).spectrum
    assert (found.windows, found.side) == (3, 64)
    np.testing.assert_array_equal(found.values, windows.values)


@pytest.mark.parametrize(
    ("values", "each"),
    [(np.float32(VALUES), 4), (VALUES, 8), (VALUES * 1e300, 8), (np.full(64, np.nan), 4)],
)
def test_values_take_four_bytes_where_that_loses_nothing(store, values, each):
    store.put(KEY, stored(np.asarray(values, np.float64)), "model")
    found = store.get(KEY).spectrum.values
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, values)
    path = next(store.folder.rglob("*.safetensors"))
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert path.stat().st_size == 8 + header + 64 * each


def test_failures_are_kept_too(store):
    store.put(KEY, stored(np.full(4, np.nan), "not_finite"), "model")
    assert store.get(KEY).spectrum.status == "not_finite"


def test_the_first_result_stays(store):
    store.put(KEY, stored(), "model")
    store.put(KEY, stored(VALUES * 2), "model")
    np.testing.assert_array_equal(store.get(KEY).spectrum.values, VALUES)


@pytest.mark.parametrize(
    "change",
    [
        {"file_sha256": "0" * 64}, {"matrix": "other"}, {"view": '{"start":1}'},
        {"precision": "float32"}, {"solver": "svd"}, {"numerics": 2}, {"sampling": "m4s0"},
        {"packing": "{}"},
        {"other_files": ("1" * 64,)},
    ],
)  # fmt: skip
def test_every_part_of_the_key_counts(store, change):
    store.put(KEY, stored(), "model")
    assert store.get(replace(KEY, **change)) is None


@pytest.mark.parametrize("position", [0, 20, 200, -200, -1])
def test_a_damaged_file_is_dropped_and_solved_again(store, position):
    store.put(KEY, stored(), "model")
    path = next(store.folder.rglob("*.safetensors"))
    raw = bytearray(path.read_bytes())
    raw[position] ^= 0x40
    path.write_bytes(raw)
    found = store.get(KEY)
    if found is None:
        assert not path.exists()
        store.put(KEY, stored(), "model")
        found = store.get(KEY)
    np.testing.assert_array_equal(found.spectrum.values, VALUES)


def test_a_truncated_file_is_dropped(store):
    store.put(KEY, stored(), "model")
    path = next(store.folder.rglob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-8])
    assert store.get(KEY) is None
    assert list(store.entries()) == []


def test_a_file_under_a_wrong_name_is_not_believed(store):
    store.put(KEY, stored(), "model")
    other = replace(KEY, matrix="other")
    path = next(store.folder.rglob("*.safetensors"))
    wrong = store.folder / "spectra" / other.digest[:2] / f"{other.digest}.safetensors"
    wrong.parent.mkdir(parents=True, exist_ok=True)
    path.rename(wrong)
    assert store.get(other) is None


def test_a_damaged_file_that_cannot_be_deleted_is_not_believed(store, monkeypatch):
    store.put(KEY, stored(), "model")
    path = next(store.folder.rglob("*.safetensors"))
    path.write_bytes(b"damaged")

    def refuse(*_, **__):
        raise PermissionError("not yours")

    monkeypatch.setattr(type(path), "unlink", refuse)
    assert store.get(KEY) is None
    assert list(store.entries()) == []


def test_fits_are_kept_and_checked(store):
    found = fit(stored().spectrum)
    assert store.get_fit(KEY, "hill") is None
    store.put_fits(KEY, {"hill": found})
    assert store.get_fit(KEY, "hill") == found
    assert store.get_fit(KEY, "ks") is None
    path = next(store.folder.rglob("*.json"))
    path.write_text(path.read_text().replace('"tail":32', '"tail":33'))
    assert store.get_fit(KEY, "hill") is None
    store.put_fits(KEY, {"hill": found})
    assert store.get_fit(KEY, "hill") == found


def test_entries_are_listed_and_removed(store):
    store.put(KEY, stored(), "one")
    store.put(replace(KEY, matrix="other"), stored(), "two")
    store.put_fits(KEY, {"hill": fit(stored().spectrum)})
    entries = {entry.model: entry for entry in store.entries()}
    assert entries["one"].key == KEY
    assert entries["one"].bytes == entries["one"].path.stat().st_size
    store.remove(entries["one"])
    assert [entry.model for entry in store.entries()] == ["two"]
    assert store.get_fit(KEY, "hill") is None


def test_no_draft_is_left_behind(store):
    for number in range(20):
        store.put(replace(KEY, matrix=str(number)), stored(), "model")
    names = [path.name for path in store.folder.rglob("*") if path.is_file()]
    assert len(names) == 20
    assert not [name for name in names if name.startswith(".new")]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="choose another folder with --cache"):
        FolderStore(tmp_path / "file" / "cache").put(KEY, stored(), "model")


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TAILORA_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("TAILORA_CACHE")
    assert default_folder().name == "tailora"


def hammer(folder, first, results):
    """Write and read the same 40 keys in two orders; report what was read."""
    store = FolderStore(folder)
    order = range(40) if first else reversed(range(40))
    ok = True
    for _ in range(5):
        for number in order:
            key = replace(KEY, matrix=str(number))
            store.put(key, stored(VALUES * (number + 1)), "model")
            found = store.get(key)
            ok &= found is not None and bool(
                np.array_equal(found.spectrum.values, VALUES * (number + 1))
            )
    results.put(ok)


def test_two_processes_share_a_folder(store):
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    workers = [
        spawn.Process(target=hammer, args=(store.folder, first, results)) for first in (True, False)
    ]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=120), results.get(timeout=120)] == [True, True]
    for worker in workers:
        worker.join()
    assert len(list(store.entries())) == 40


def test_unchecked_spectra_are_apart_until_they_are_confirmed(store):
    store.put(KEY, stored(), "model", checked=False)
    assert store.get(KEY) is None
    kept = store.get_unchecked(KEY)
    np.testing.assert_array_equal(kept.spectrum.values, VALUES)
    store.confirm(KEY, kept.tensor_sha256)
    assert store.get_unchecked(KEY) is None
    np.testing.assert_array_equal(store.get(KEY).spectrum.values, VALUES)


def test_only_the_spectrum_of_the_checked_bytes_is_confirmed(store):
    """Another process put its own meanwhile, from bytes that flipped on the way."""
    store.put(KEY, stored(), "model", checked=False)
    store.put(KEY, replace(stored(), tensor_sha256="f" * 64), "model", checked=False)
    assert store.get_unchecked(KEY).tensor_sha256 == "f" * 64, "the last one stays"
    store.confirm(KEY, stored().tensor_sha256)
    assert store.get(KEY) is None


def test_unchecked_spectra_are_forgotten(store):
    store.put(KEY, stored(), "model", checked=False)
    store.forget(KEY)
    assert store.get_unchecked(KEY) is None
    store.forget(KEY)
    store.confirm(KEY, stored().tensor_sha256)
    assert store.get(KEY) is None


def test_drafts_of_killed_processes_are_swept(store):
    store.put(KEY, stored(), "model")
    for name, age in ((".new-old", 7200), (".new-young", 60)):
        left = store.folder / "drafts" / name
        left.write_bytes(b"half")
        os.utime(left, (time.time() - age,) * 2)
    FolderStore(store.folder).put(replace(KEY, matrix="other"), stored(), "model")
    assert [path.name for path in (store.folder / "drafts").iterdir()] == [".new-young"]
