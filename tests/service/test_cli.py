"""The command as a user runs it: real processes, real weights."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.families import save_family
from tests.service.command import TAILORA, fails, run


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    save_family("llama", folder)
    return folder


def test_plan_of_minilm(minilm):
    found = run("plan", minilm, "--budget", 30)
    assert "experts: 5 5 5 4 5 6\n" in found.stdout
    assert "by ks instead: 3 4 4 4 6 9 (5 of 6 differ)" in found.stdout
    assert found.stderr == ""


def test_json_is_one_document_and_nothing_else(minilm, tmp_path):
    out = tmp_path / "plan.json"
    found = run("plan", minilm, "--budget", 30, "--json", "--out", out)
    document = json.loads(found.stdout)
    assert document["schema"] == "tailora.plan/1"
    assert [layer["experts"] for layer in document["layers"]] == [5, 5, 5, 4, 5, 6]
    assert document["budget"]["requested"] == 30
    assert json.loads(out.read_text()) == document
    assert document["provenance"]["device"] == "cpu"


def test_every_option_of_plan_reaches_the_plan(llama):
    found = run(
        "plan", llama, "--budget", 4, "--budget-kind", "mean", "--method", "alphalora", "--beta",
        3, "--estimator", "peak", "--aspect", "none", "--weighting", "parameters", "--rounding",
        "webster", "--precision", "float64", "--solver", "svd", "--device", "cpu", "--rank", 4,
        "--lora-alpha", 32, "--top-k", 3, "--min-experts", 2, "--max-experts", 5, "--modules",
        "q_proj,v_proj", "--stack", "text", "--json",
    )  # fmt: skip
    document = json.loads(found.stdout)
    assert document["parameters"] == {
        "beta": 3.0, "estimator": "peak", "aspect": "none", "weighting": "parameters",
        "rounding": "webster", "min_experts": 2, "max_experts": 5, "top_k": 3, "rank": 4,
        "lora_alpha": 32.0, "modules": ["q_proj", "v_proj"], "per_module": False, "stack": "text",
    }  # fmt: skip
    assert document["budget"] == {
        "kind": "mean", "requested": 4, "experts": 8, "allocated": 8,
    }  # fmt: skip
    assert document["provenance"]["solver"] == "svd"
    assert document["provenance"]["precision"] == "float64"
    module = document["layers"][0]["modules"][0]
    assert (module["rank"], module["lora_alpha"]) == (4, 32.0)


def test_methods_without_alphas(llama):
    shaped = run("plan", llama, "--method", "mola", "--shape", "2468", "--json")
    assert [layer["experts"] for layer in json.loads(shaped.stdout)["layers"]] == [3, 7]
    custom = run("plan", llama, "--method", "custom", "--counts", "1,3", "--json")
    assert [layer["experts"] for layer in json.loads(custom.stdout)["layers"]] == [1, 3]
    per_module = run("plan", llama, "--method", "uniform", "-b", 4, "--per-module", "--json")
    assert json.loads(per_module.stdout)["budget"]["allocated"] == 28


def test_plan_from_scores(tmp_path):
    scores = tmp_path / "scores.json"
    scores.write_text("[1, 2.5, 3]")
    found = run("plan", "--scores", scores, "--budget", 12, "--json")
    document = json.loads(found.stdout)
    assert sum(layer["experts"] for layer in document["layers"]) == 12
    assert document["values"] == "score"
    assert document["model"] is None
    assert "experts: " in run("plan", "--scores", scores, "--budget", 12).stdout


def test_inspect(llama):
    found = run("inspect", llama)
    for word in (
        "stack text: 2 layers at model.layers", "self_attn.q_proj", "32 × 32", "0-1",
        "lm_head.weight", "one-dimensional", "a plan for all stacks reads 14 matrices",
    ):  # fmt: skip
        assert word in found.stdout
    document = json.loads(run("inspect", llama, "--json").stdout)
    assert document["schema"] == "tailora.outline/1"


def test_analyze(llama):
    found = run("analyze", llama, "--all", "--estimator", "ks")
    assert "lm_head.weight" in found.stdout
    assert "mean of every layer" in found.stdout
    document = json.loads(run("analyze", llama, "--json", "-q").stdout)
    assert document["schema"] == "tailora.analysis/1"
    assert len(document["matrices"]) == 14


def test_cache(llama, own_cache):
    run("analyze", llama, "-q")
    assert "14 spectra in" in run("cache", "list").stdout
    listed = json.loads(run("cache", "list", "--json").stdout)
    assert listed["models"][0]["model"] == str(llama)
    assert listed["models"][0]["spectra"] == 14
    assert "0 spectra deleted" in run("cache", "prune", "--older-than", 1).stdout
    assert "0 spectra deleted" in run("cache", "prune", "--model", "another").stdout
    assert "14 spectra deleted" in run("cache", "prune", "--model", llama).stdout
    assert "0 spectra in" in run("cache", "list").stdout
    assert not [path for path in own_cache.rglob("*.json") if path.is_file()]
    fails("cache", "prune", code=2, message="say what to prune")
    run("analyze", llama, "-q")
    next(own_cache.rglob("*.safetensors")).write_bytes(b"damaged")
    assert "13 spectra deleted" in run("cache", "prune", "--all").stdout
    assert not [path for path in own_cache.rglob("*") if path.is_file()]


def test_help_and_plans_by_shape_import_no_torch(minilm):
    watch = (
        "import sys, runpy\n"
        "sys.argv = ['tailora', *{arguments!r}]\n"
        "try: runpy.run_module('service.cli', run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {{'torch', 'scipy', 'transformers'}} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for arguments in (["--help"], ["plan", "--help"], ["inspect", str(minilm)],
                      ["plan", str(minilm), "--method", "mola"], ["cache", "list"]):  # fmt: skip
        code = watch.format(arguments=arguments)
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert found.returncode == 0, found.stderr


def test_a_second_plan_needs_no_torch_at_all(llama):
    """torch cannot be imported in the second process, as where it is not installed."""
    first = json.loads(run("plan", llama, "-b", 6, "--json").stdout)
    without = "import sys; sys.modules['torch'] = None; from service.cli.main import main; main()"
    arguments = [sys.executable, "-c", without, "plan", str(llama), "-b", "6", "--json"]
    found = subprocess.run(arguments, capture_output=True, text=True)
    assert json.loads(found.stdout)["digest"] == first["digest"]
    fresh = subprocess.run(
        [*arguments, "--cache", str(llama / "empty")], capture_output=True, text=True
    )
    assert fresh.returncode == 2
    assert "pip install 'tailora[analyze]'" in fresh.stderr


def test_version_and_usage(llama):
    assert run("--version").stdout.startswith("tailora 0.")
    assert "Usage" in run("plan", "--budgte", 3, code=2).stderr
    assert "Usage" in run("plan", llama, "--budget", "many", code=2).stderr
    fails("plan", code=2, message="give a MODEL or --scores FILE")
    fails("plan", llama, "--scores", "x", "-b", 3, code=2, message="one of the two")


def test_an_interrupted_run_ends_with_130_and_continues(tmp_path, own_cache):
    """A slow model (one large matrix after many small ones), stopped by Ctrl-C."""
    import torch
    from safetensors.torch import save_file

    weights = {
        f"model.layers.{layer}.mlp.up_proj.weight": torch.randn(2100, 2100) for layer in range(12)
    }
    save_file(weights, tmp_path / "model.safetensors")
    process = subprocess.Popen(
        [*TAILORA, "analyze", str(tmp_path), "-q"], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while len(list(own_cache.rglob("spectra/*/*.safetensors"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.decode().strip() == (
        "interrupted; what was solved is kept, run again to continue"
    )
    assert b"Traceback" not in errors
    document = json.loads(run("analyze", tmp_path, "--json", "-q").stdout)
    assert 2 <= document["provenance"]["spectra_reused"] < 12
    assert document["provenance"]["spectra_solved"] + document["provenance"]["spectra_reused"] == 12


def test_warnings_go_to_stderr(tmp_path):
    from safetensors.torch import load_file, save_file

    save_family("llama", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.layers.1.self_attn.q_proj.weight"][0, 0] = float("nan")
    save_file(weights, tmp_path / "model.safetensors")
    found = run("plan", tmp_path, "-b", 6, "--json")
    assert "warning: model.layers.1.self_attn.q_proj.weight is left out" in found.stderr
    document = json.loads(found.stdout)
    assert any("not_finite" in warning for warning in document["warnings"])


BAD_REQUESTS = {
    "below the layers": (["--budget", 1], 2, "at least 1 each; use a budget of 2 or more"),
    "not whole": (["--budget", 6.5], 2, "not whole; use 6 or 7"),
    "no budget": ([], 2, "the budget is missing"),
    "unknown method": (["-b", 6, "--method", "gamma"], 2, "use one of alphalora"),
    "unknown estimator": (["-b", 6, "--estimator", "median"], 2, "use one of hill"),
    "unknown module": (["-b", 6, "--modules", "qq"], 2, "it has mlp.down_proj"),
    "unknown stack": (["-b", 6, "--stack", "vision"], 2, "it has text"),
    "words that the method does not need": (
        ["-b", 6, "--method", "uniform", "--estimator", "median"], 2, "use one of hill"
    ),
    "a solver that the method does not need": (
        ["-b", 6, "--method", "uniform", "--solver", "qr"], 2, "use one of gram"
    ),
    "unknown device": (["-b", 6, "--device", "cuda:9"], 2, "use --device cpu"),
    "unknown shape": (["--method", "mola", "--shape", "pyramid"], 2, "use triangle"),
    "beta for mola": (["--method", "mola", "--beta", 2], 2, "its parameters are shape"),
    "odd counts": (["--method", "custom", "--counts", "1,x"], 2, "whole numbers such as 1,3,5"),
    "correction of ks": (
        ["-b", 6, "--estimator", "ks", "--aspect", "marchenko_pastur"], 2, "hill only"
    ),
    "peaks in float32": (
        ["-b", 6, "--estimator", "peak", "--precision", "float32"], 2, "needs float64"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_bad_requests(llama, tmp_path, case):
    arguments, code, message = BAD_REQUESTS[case]
    out = tmp_path / "plan.json"
    fails("plan", llama, *arguments, "--out", out, code=code, message=message)
    assert list(tmp_path.iterdir()) == [], "no partial output"


@pytest.mark.parametrize(
    "content",
    ["{", "{}", '["a"]', "[1, true]", "[1, NaN]", "[]", "[0, 1]", "[1%s, 2]" % ("0" * 400)],
)
def test_bad_scores(tmp_path, content):
    scores = tmp_path / "scores.json"
    scores.write_text(content)
    fails("plan", "--scores", scores, "-b", 6, code=2, message="")
    fails("plan", "--scores", tmp_path / "none.json", "-b", 6, code=2, message="cannot read")


def test_an_output_that_cannot_be_written(llama, tmp_path):
    out = tmp_path / "no" / "plan.json"
    fails("plan", llama, "-b", 6, "--out", out, code=2, message="choose another --out")


def test_bad_models(tmp_path, llama):
    fails("plan", tmp_path / "none", "-b", 6, code=4, message="does not exist")
    for name in ("", "~no-such-user/model", "a" * 5000):
        fails("inspect", name, code=4, message="does not exist")
    fails("inspect", tmp_path, code=4, message="holds no .safetensors")
    broken = tmp_path / "model.safetensors"
    broken.write_bytes((llama / "model.safetensors").read_bytes()[:-10])
    out = tmp_path / "plan.json"
    for command in (["inspect"], ["analyze"], ["plan", "-b", "6"]):
        fails(*command, tmp_path, "--out", out, code=5, message="fetch it again")
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'
    )
    fails("plan", tmp_path, "-b", 6, code=5, message="names model-00001-of-00002.safetensors")
    assert not out.exists()


def test_all_matrices_of_a_block_failing(tmp_path):
    import torch
    from safetensors.torch import save_file

    weights = {
        f"model.layers.{layer}.mlp.up_proj.weight": torch.randn(16, 16) * layer
        for layer in range(2)
    }
    save_file(weights, tmp_path / "model.safetensors")
    out = tmp_path / "plan.json"
    fails("plan", tmp_path, "-b", 6, "--out", out, code=5, message="layer 0 of text")
    assert not out.exists()


def test_names_are_printed_as_they_are(tmp_path):
    """Square brackets are no markup, and a stream without Unicode is no reason to stop."""
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "[v2]"
    folder.mkdir()
    weights = {f"model.layers.{n}.a[/b]x.weight": torch.randn(16, 16) for n in range(2)}
    save_file(weights, folder / "model.safetensors")
    assert "a[/b]x" in run("inspect", folder).stdout
    run("plan", folder, "-b", 6, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "[v2]" in run("cache", "list").stdout.replace("\n", "")


def test_warnings_stay_on_one_line(tmp_path):
    import torch
    from safetensors.torch import save_file

    name = "model.layers.{}.a_rather_long_name_of_a_module_in_a_block.{}_proj.weight"
    weights = {name.format(n, part): torch.randn(16, 16) for n in (0, 1) for part in "qkv"}
    weights[name.format(0, "q")][0, 0] = float("inf")
    save_file(weights, tmp_path / "model.safetensors")
    assert len(run("plan", tmp_path, "-b", 6, "-q").stderr.splitlines()) == 1


def test_debug_shows_the_traceback(tmp_path):
    found = run("--debug", "inspect", tmp_path, code=1)
    assert "Traceback" in found.stderr
