"""A Hub that fails and lies: the same numbers, or none."""

import pytest

from analyzer.errors import (
    CorruptFile,
    HubUnavailable,
)
from analyzer.scan import outline
from analyzer.source import open_source
from tests.analyzer.hubs import SMALL_REQUESTS, alphas, digest, kept, run
from tests.hub import actions
from tests.hub.faults import Fault
from tests.models import write_sharded


def test_a_folder_believes_no_unchecked_spectrum(hub, connect, model, store, local):
    """A bit that flipped in a ranged run does no harm to those who have the file."""
    outlined = outline(connect())
    tensor = outlined.matrices[0]
    info = next(i for i in open_source(str(model)).tensors(tensor.file) if i.name == tensor.tensor)
    hub.faults.append(Fault(actions.flip(info.start + 101, bit=6), path="00001-of"))
    wrong = run(connect(), store, ranged=True)
    assert hub.faults[0].fired
    assert alphas(wrong) != alphas(local)
    found = run(open_source(str(model)), store)
    assert found.provenance.verified
    assert alphas(found) == alphas(local)
    assert found.provenance.spectra_solved == 1, "equal bytes are not solved again"
    assert run(open_source(str(model)), store).provenance.spectra_solved == 0


@pytest.mark.parametrize("rate", [0.05, 0.2])
@pytest.mark.parametrize("ranged", [False, True])
def test_errors_of_the_hub_change_nothing(hub, connect, store, local, rate, ranged):
    kinds = [
        actions.status(503), actions.status(429, Retry_After="0"), actions.reset(),
        actions.cut(300_000), actions.hang(100_000), actions.reset(200_000),
    ]  # fmt: skip
    share = 1 - (1 - rate) ** (1 / len(kinds))
    hub.faults += [
        Fault(kind, path="org/model|^/cdn", rate=share, seed=number)
        for number, kind in enumerate(kinds)
    ]
    found = run(connect(timeout=0.5), store, ranged=ranged, memory=SMALL_REQUESTS)
    assert digest(found) == digest(local)
    assert alphas(found) == alphas(local)
    assert sum(fault.fired for fault in hub.faults) >= (1 if rate < 0.1 else 5)


def test_a_hub_that_fails_too_often_is_named(hub, connect, store, monkeypatch):
    monkeypatch.setattr("analyzer.hub.retry.LONGEST_PAUSE", 0.05)
    source = connect()
    outline(source)
    hub.faults.append(Fault(actions.status(500), path="^/cdn"))
    with pytest.raises(HubUnavailable, match="answers 500, 6 times; run again later"):
        run(source, store, ranged=False)
    assert hub.faults[0].fired >= 6


def test_what_was_solved_before_the_network_failed_is_kept(hub, connect, store, monkeypatch):
    monkeypatch.setattr("analyzer.hub.retry.LONGEST_PAUSE", 0.05)
    source = connect()
    outline(source)
    hub.faults.append(Fault(actions.status(500), path="^/cdn", skip=14))
    with pytest.raises(HubUnavailable):
        run(source, store, ranged=False, memory=SMALL_REQUESTS)
    before = len(kept(store))
    assert before > 0
    hub.faults.clear()
    found = run(connect(), store, ranged=False)
    assert found.provenance.verified
    assert found.provenance.spectra_reused == before
    assert found.provenance.spectra_solved == 48 - before


@pytest.mark.parametrize("offset", [9, 40, 3_000, 1_000_000, 2_500_000])
def test_flipped_bits_are_always_seen_when_files_are_read_whole(hub, connect, store, offset):
    """In the header's length, its JSON, a tensor: at every reading, or after the first one."""
    for skip in (0, 1):
        hub.faults[:] = [Fault(actions.flip(offset), path="^/cdn", skip=skip)]
        with pytest.raises((CorruptFile, HubUnavailable, Exception)) as raised:
            run(connect(), store, ranged=False)
        assert raised.type.__module__ == "analyzer.errors"
        assert hub.faults[0].fired
        assert kept(store) == []


def test_a_header_that_was_wrong_once_is_seen(hub, connect, store, tmp_path):
    """The name of a tensor flips in the first reading; the file itself is right."""
    folder = tmp_path / "one"
    write_sharded(folder, layers=2, width=512, layers_per_shard=2)
    (folder / "model.safetensors.index.json").unlink()
    content = next(folder.glob("*.safetensors")).read_bytes()
    hub.add("org/one", folder)
    hub.faults.append(Fault(actions.flip(content.index(b"q_proj")), path="^/cdn", times=1))
    with pytest.raises(CorruptFile, match="changed between two readings"):
        run(connect("org/one"), store, ranged=False)
    assert hub.faults[0].fired == 1
    assert kept(store) == []


@pytest.mark.parametrize("ranged", [False, True])
@pytest.mark.parametrize("etag", [None, '"another"'])
def test_a_swapped_object_is_seen(hub, connect, store, model, ranged, etag):
    other = next(iter(model.glob("*00006.safetensors"))).read_bytes()
    other = other if etag else other + b"longer"
    hub.faults.append(Fault(actions.swap(other, etag=etag), path="^/cdn", skip=8))
    with pytest.raises(CorruptFile):
        run(connect(), store, ranged=ranged, memory=SMALL_REQUESTS)
    assert hub.faults[0].fired
    assert kept(store) == [] or ranged


@pytest.mark.parametrize("ranged", [False, True])
@pytest.mark.parametrize(
    "lie",
    [
        actions.misrange(start=8), actions.misrange(total=8), actions.ignore_range(),
        actions.resize(extra=100, announce=True), actions.resize(extra=-100, announce=True),
        actions.resize(times=150, announce=True), actions.gzip_bomb(1000 * 1_000_000),
    ],
)  # fmt: skip
def test_lying_answers_leave_no_numbers(hub, connect, store, lie, ranged, monkeypatch):
    monkeypatch.setattr("analyzer.hub.retry.LONGEST_PAUSE", 0.01)
    source = connect()
    outline(source)
    hub.faults.append(Fault(lie, path="^/cdn"))
    with pytest.raises((CorruptFile, HubUnavailable)):
        run(source, store, ranged=ranged)
    assert hub.faults[0].fired
    assert kept(store) == []


@pytest.mark.parametrize("lie", [actions.resize(extra=100), actions.resize(times=150)])
def test_what_follows_the_announced_end_is_not_read(hub, connect, store, local, lie):
    hub.faults.append(Fault(lie, path="^/cdn"))
    assert digest(run(connect(), store, ranged=False)) == digest(local)
    assert hub.faults[0].fired


def test_a_short_wait_is_kept_and_a_long_one_ends_it(hub, connect, store, local):
    hub.faults.append(Fault(actions.status(429, Retry_After="1"), path="^/cdn", times=1))
    assert digest(run(connect(), store)) == digest(local)
    for wait, words in (("86400", "86400 s"), ("Fri, 01 Jan 2100 00:00:00 GMT", "asking to wait")):
        store.clear()
        hub.faults[:] = [Fault(actions.status(503, Retry_After=wait), path="^/cdn")]
        with pytest.raises(HubUnavailable, match=words):
            run(connect(), store)


@pytest.mark.parametrize(
    "spoil",
    [
        actions.redirect("http://169.254.169.254/latest"), actions.redirect("http://10.0.0.1/"),
        actions.redirect("https://evil.example/x"), actions.redirect("file:///etc/passwd"),
        actions.redirect(),
    ],
)  # fmt: skip
def test_redirects_out_of_the_hub_are_not_followed(hub, connect, spoil, monkeypatch):
    monkeypatch.setattr("analyzer.hub.retry.LONGEST_PAUSE", 0.01)
    source = connect()
    hub.faults.append(Fault(spoil, path="/resolve/"))
    with pytest.raises(HubUnavailable, match="redirect"):
        outline(source)


def test_a_listing_that_lies(hub, connect):
    hub.faults[:] = [Fault(actions.same_page(), path="/tree/")]
    with pytest.raises(HubUnavailable, match="no end"):
        connect()
    hub.faults[:] = [
        Fault(
            actions.rename("model-00001-of-00006.safetensors", "../../x.safetensors"), path="/tree/"
        )
    ]
    with pytest.raises(Exception, match="00001-of-00006.safetensors, which is not there"):
        connect()
