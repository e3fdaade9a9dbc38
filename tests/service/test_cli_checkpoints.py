"""Several checkpoints, differences, adapters, samples and estimates at the command line."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.analyzer.test_adapter import write_adapter
from tests.families import save_family
from tests.service.test_cli import fails, run


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """Three checkpoints of one model."""
    folders = []
    for step in range(3):
        folder = tmp_path_factory.mktemp(f"step{step}")
        save_family("llama", folder)
        weights = load_file(folder / "model.safetensors")
        generator = torch.Generator().manual_seed(step)
        for name in weights:
            noise = torch.randn(weights[name].shape, generator=generator)
            weights[name] = weights[name] + 0.01 * step * noise
        save_file(weights, folder / "model.safetensors")
        folders.append(folder)
    return folders


def test_a_series_holds_what_single_analyses_say(steps):
    series = json.loads(run("analyze", *steps, "--json", "-q").stdout)
    assert series["schema"] == "tailora.series/1"
    assert [c["model"] for c in series["checkpoints"]] == list(map(str, steps))
    for number, folder in enumerate(steps):
        alone = json.loads(run("analyze", folder, "--json", "-q").stdout)
        assert [layer["alphas"][number] for layer in series["layers"]] == [
            layer["alpha"] for layer in alone["layers"]
        ]
        assert {m["name"]: m["alphas"][number] for m in series["matrices"]} == {
            m["name"]: m["fits"]["hill"]["alpha"] for m in alone["matrices"]
        }
    changes = run("analyze", *steps[1:], "--base", steps[0], "--json", "-q").stdout
    assert json.loads(changes)["kind"] == "difference"
    table = run("analyze", *steps, "-q").stdout
    assert "alpha of every layer by hill" in table
    assert f"3: {steps[2]}" in table


def test_a_difference(steps):
    found = json.loads(run("analyze", steps[1], "--base", steps[0], "--json", "-q").stdout)
    assert found["kind"] == "difference"
    assert found["base"]["model"] == str(steps[0])
    assert "mean of every layer" in run("analyze", steps[1], "--base", steps[0], "-q").stdout
    same = run("analyze", steps[0], "--base", steps[0], "-q")
    assert "mean of every layer" not in same.stdout


def test_an_adapter(tmp_path):
    write_adapter(tmp_path)
    assert json.loads(run("analyze", tmp_path, "--json", "-q").stdout)["kind"] == "adapter"
    assert "self_attn.q_proj" in run("inspect", tmp_path).stdout
    fails("plan", tmp_path, "-b", 4, code=2, message="plan for the model")


def test_a_sample_of_experts(tmp_path):
    save_family("mixtral", tmp_path)
    table = run("analyze", tmp_path, "--experts-per-layer", 2, "-q").stdout
    assert "mean over the experts of every layer" in table
    fails("analyze", tmp_path, "--experts-per-layer", 0, code=2, message="at least 1")


def test_the_estimate(minilm):
    found = json.loads(run("inspect", minilm, "--json").stdout)["estimate"]
    assert found["matrices"] == 36
    assert found["bytes"] == 36 * 384 * 384 * 4 + 2 * 6 * (1536 - 384) * 384 * 4
    assert found["file_bytes"] == (minilm / "model.safetensors").stat().st_size
    assert 0 <= found["seconds"] < 60
    assert found["peak_memory"] == found["bytes"] + 3 * 4 * 1536 * 384
    small = json.loads(run("inspect", minilm, "--json", "--memory", "20MB").stdout)["estimate"]
    assert small["peak_memory"] == 20_000_000 + 3 * 4 * 1536 * 384


@pytest.mark.parametrize("size", ["lots", "", "-1", "1e99", "0"])
def test_sizes_that_are_none(minilm, size):
    fails("analyze", minilm, "--memory", size, code=2, message="")
