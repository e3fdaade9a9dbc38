"""Units of about equal cost; hub files whole where they fit in one, else ranges and a hash."""

import pytest

from analyzer.lookup import Pending
from analyzer.options import Options
from analyzer.outline import Location, Matrix, Packing
from ledger.settings import load_settings
from worker.dividing import cost_of, divide
from worker.passes import Pass

SIDE = 4096


def matrix(number: int, file: str = "a", side: int = SIDE, **fields) -> Matrix:
    name = fields.pop("tensor", f"t{number}")
    return Matrix(
        name=f"m{number}", tensor=name, file=file, dtype="BF16", shape=(side, side),
        role="adaptable", stack="text", layer=number, module="q", bytes=2 * side * side, **fields,
    )  # fmt: skip


def split(matrices, *, whole=(), provisional=(), slots=1, **settings):
    each = Pass(Options(), tuple(matrices))
    pending = Pending(tuple(matrices), frozenset(whole), tuple(provisional))
    return each, divide(
        each, pending, list(matrices), slots=slots, settings=load_settings(**settings)
    )


def costs(each, batches) -> list[float]:
    return [sum(cost_of(m, each) for m in batch.matrices) for batch in batches]


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_every_matrix_once_and_all_slots_end_together(slots):
    """However slow one of them is: each takes the next unit when it is done with one."""
    matrices = [matrix(n) for n in range(224)]
    each, (batches, hashes) = split(matrices, slots=slots, unit_cost=1e15)
    assert [m.name for b in batches for m in b.matrices] == [m.name for m in matrices]
    assert hashes == []
    found = costs(each, batches)
    assert found == sorted(found, reverse=True)
    assert max(found) <= sum(found) / (2 * slots)
    assert len(found) <= 20 * slots
    for slowest in (1.0, 3.0):
        ends = [0.0] * slots
        for cost in found:
            first = ends.index(min(ends))
            ends[first] += cost * (slowest if first == 0 else 1.0)
        assert max(ends) - min(ends) <= 0.05 * max(ends) * slowest


def test_no_unit_is_long():
    """Whoever comes later finds something to do."""
    matrices = [matrix(n) for n in range(224)]
    each, (batches, _) = split(matrices, unit_cost=1e12)
    assert max(costs(each, batches)) <= 1e12
    assert len(batches) >= sum(costs(each, batches)) / 1e12


def test_bounds_of_a_unit():
    """A large matrix stands alone; small ones come together up to the least cost."""
    _, (batches, _) = split([matrix(n, side=16_384) for n in range(3)])
    assert len(batches) == 3
    tiny = [matrix(n, side=64) for n in range(1000)]
    _, (batches, _) = split(tiny, slots=8)
    assert len(batches) == 1
    _, (batches, _) = split(tiny, unit_cost=1.0, least_unit_cost=1.0)
    assert len(batches) == 1000


def test_parts_of_one_tensor_stay_together():
    parts = [matrix(n, tensor=f"qkv{n // 3}") for n in range(30)]
    _, (batches, _) = split(parts, unit_cost=1.0, least_unit_cost=1.0)
    assert [len(batch.matrices) for batch in batches] == [3] * 10


def test_small_files_of_the_hub_are_read_whole():
    matrices = [matrix(n, file=f"f{n // 2}", side=512) for n in range(20)]
    files = {m.file for m in matrices}
    _, (batches, hashes) = split(matrices, whole=files)
    assert all(batch.whole for batch in batches)
    assert sorted(batch.matrices[0].file for batch in batches) == sorted(files)
    assert hashes == []


def test_large_files_of_the_hub_are_hashed_apart():
    matrices = [matrix(n, file=f"f{n // 40}") for n in range(80)]
    _, (batches, hashes) = split(matrices, whole={"f0", "f1"}, slots=4)
    assert not any(batch.whole for batch in batches)
    assert hashes == [("f0",), ("f1",)]


def test_what_is_solved_but_not_checked_is_only_hashed():
    solved = [matrix(n, file="f0", side=512) for n in range(4)]
    each = Pass(Options(), tuple(solved))
    pending = Pending((), frozenset({"f0"}), tuple(solved))
    found = divide(each, pending, [], slots=1, settings=load_settings())
    assert found == ([], [("f0",)])


def test_what_another_unit_solves_keeps_a_file_from_being_read_whole():
    """Half of a file is somebody else's: ranges for ours, and a hash for all."""
    matrices = [matrix(n, file="f0", side=512) for n in range(4)]
    each = Pass(Options(), tuple(matrices))
    pending = Pending(tuple(matrices), frozenset({"f0"}), ())
    batches, hashes = divide(each, pending, matrices[2:], slots=1, settings=load_settings())
    assert [batch.whole for batch in batches] == [False]
    assert [m.name for m in batches[0].matrices] == ["m2", "m3"]
    assert hashes == [("f0",)]


def test_files_that_share_a_matrix_are_hashed_together():
    packing = Packing(
        format="gptq",
        tensors={
            "words": Location(tensor="w", file="f0"),
            "scales": Location(tensor="s", file="f1"),
        },
    )
    shared = matrix(0, file="f0", packing=packing)
    alone = matrix(1, file="f2")
    _, (batches, hashes) = split([shared, alone], whole={"f0", "f1", "f2"}, unit_cost=1.0,
                                 least_unit_cost=1.0)  # fmt: skip
    assert hashes == [("f0", "f1"), ("f2",)]
    assert not any(batch.whole for batch in batches)


@pytest.mark.parametrize(("draws", "times"), [(8, 1.0), (200, 25.0)])
def test_halves_cost_what_they_solve(draws, times):
    """A half has half of both sides, so an eighth of the operations."""
    from analyzer.sampling import Halves

    one = matrix(0, side=8192)
    plain = cost_of(one, Pass(Options(), (one,)))
    halves = cost_of(one, Pass(Options(), (one,), Halves(draws=draws)))
    assert halves / plain == pytest.approx(times, rel=0.12)
