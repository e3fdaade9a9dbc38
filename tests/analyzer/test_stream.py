"""What lies between the reader and the solver stays within its bound, whatever the file's order."""

import pytest
import torch
from safetensors.torch import save_file

from analyzer import solver
from analyzer.analyze import analyze
from analyzer.buffer import Buffer
from analyzer.errors import UnreadableFile
from analyzer.options import Options
from analyzer.requests import Run, Target, requests, touching
from analyzer.scan import outline
from analyzer.source import open_source
from analyzer.store import FolderStore
from analyzer.stream import Checked, Loaded, Stream
from analyzer.units import units_of
from tests.models import write_sharded


def stream_of(source, buffer, whole=()):
    matrices = [matrix for matrix in outline(source).matrices if matrix.stack]
    return Stream(source, units_of(source, matrices), whole=whole, buffer=buffer)


@pytest.fixture
def gptq(tmp_path):
    """Words first, scales last, as safetensors writes them: no weight is complete before."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for layer in range(12):
        for name in ("q_proj", "k_proj"):
            for leaf, tensor in packed(generator).items():
                tensors[f"model.layers.{layer}.self_attn.{name}.{leaf}"] = tensor
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path


def packed(generator) -> dict[str, torch.Tensor]:
    """The shapes of a 4-bit GPTQ weight of 512 × 512 in groups of 128, with any content."""

    def words(*shape):
        return torch.randint(0, 2**31 - 1, shape, generator=generator, dtype=torch.int32)

    return {
        "qweight": words(64, 512), "qzeros": words(4, 64),
        "scales": torch.rand(4, 512, generator=generator).half(),
        "g_idx": torch.arange(512, dtype=torch.int32) // 128,
    }  # fmt: skip


@pytest.mark.parametrize("whole", [(), ("model.safetensors",)])
def test_scales_that_come_last_hold_nothing_back(gptq, whole):
    source = open_source(str(gptq))
    buffer = Buffer(1_500_000)
    seen = checked = 0
    for item in stream_of(source, buffer, whole):
        if isinstance(item, Checked):
            checked += 1
            continue
        assert buffer._held <= 1_500_000
        item.give_back()
        seen += 1
    assert (seen, checked) == (24, len(whole))


def test_a_reader_that_nobody_needs_stops(tmp_path):
    write_sharded(tmp_path, layers=12, width=512, layers_per_shard=12)
    source, buffer = open_source(str(tmp_path)), Buffer(2_000_000)
    stream = iter(stream_of(source, buffer))
    assert isinstance(next(stream), Loaded)
    buffer.close()
    assert len(list(stream)) < 10


def test_an_error_in_the_callers_code_stops_the_reader(tmp_path, own_cache, monkeypatch):
    write_sharded(tmp_path, layers=12, width=512, layers_per_shard=12)
    source = open_source(str(tmp_path))

    def refuse(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(solver, "batch_eigenvalues", refuse)
    with pytest.raises(ZeroDivisionError):
        analyze(source, Options(memory=16_000_000), store=FolderStore(own_cache))
    assert source.stop.is_set()


def test_a_file_that_changes_between_two_requests(tmp_path, own_cache):
    write_sharded(tmp_path, layers=12, width=512, layers_per_shard=12)
    file = next(tmp_path.glob("*.safetensors"))

    def spoil(step):
        if step.done == 1:
            with file.open("r+b") as stream:
                stream.seek(-2, 2)
                stream.write(b"\0\0")

    with pytest.raises(UnreadableFile, match="changed while it was read"):
        analyze(
            open_source(str(tmp_path)), Options(memory=16_000_000), progress=spoil,
            store=FolderStore(own_cache),
        )  # fmt: skip


def test_requests_cover_every_byte_once_and_know_their_targets():
    spans = [(10, 40), (40, 3_000_000), (5_000_000, 90_000_000), (20, 35)]
    targets = [Target(low, high, lambda content: iter(())) for low, high in spans]
    runs = [Run("file", *run) for run in touching(targets)]
    assert [(run.start, run.end) for run in runs] == [(10, 3_000_000), (5_000_000, 90_000_000)]
    asked = list(requests(runs, 16_000_000))
    assert sum(one.size for one in asked) == 2_999_990 + 85_000_000
    assert max(one.size for one in asked) <= 16_000_000
    for one in asked:
        overlapping = {t for t in targets if t.start < one.end and t.end > one.start}
        assert set(one.targets) == overlapping
