"""How sure a plan is, at the command line: real processes, real weights."""

from statistics import median

import pytest
from safetensors.torch import load_file, save_file

from tests.families import save_family
from tests.service.command import document, fails, run

NO_SOLVER = "import sys; sys.modules['analyzer.solver'] = None"
"""Reading weights is then an error."""


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    save_family("llama", folder)
    return folder


def test_stability_in_full(minilm, own_cache):
    found = run("plan", minilm, "--budget", 30, "--stability", "all", "--draws", 50)
    for words in (
        "experts: 5 5 5 4 5 6",
        "by ks instead: 3 4 4 4 6 9 (5 of 6 differ)",
        "from weights rounded to bfloat16: 5 5 5 4 5 6 (0 of 6 differ)",
        "counts in 1,000 nominal draws (seed 0)",
        "counts in 50 resampling draws (seed 0)",
        "which hold for independent draws",
        "the nominal errors are",
        "firm in at least 90% of the draws: 4 of 6 counts; open: layer 3 (4 or 5) and layer 5 (",
    ):
        assert words in found.stdout
    assert found.stderr == ""
    made = document("plan", minilm, "-b", 30, "--stability", "resampling", "--draws", 50)
    assert [s["source"] for s in made["scatter"]] == ["resampling"]
    again = run("plan", minilm, "-b", 30, "--stability", "all", "--draws", 50, before=NO_SOLVER)
    assert again.stdout == found.stdout, "everything was kept"
    errors = [spread["standard_error"] for spread in made["scatter"][0]["spreads"]]
    nominal = [layer["nominal_standard_error"] for layer in made["layers"]]
    ratios = [wide / narrow for wide, narrow in zip(nominal, errors, strict=True)]
    shown = f"{min(ratios):.1f} to {max(ratios):.1f} times the resampled ones"
    assert f"the nominal errors are {shown} (median {median(ratios):.1f})" in found.stdout
    for spread, layer in zip(made["scatter"][0]["spreads"], made["layers"], strict=True):
        assert sum(spread["counts"].values()) == 50
        assert spread["kept"] == spread["counts"].get(str(layer["experts"]), 0) / 50
    plain = document("plan", minilm, "-b", 30)
    assert plain["scatter"] == []
    assert plain["digest"] == made["digest"]


def test_modules_scatter_one_by_one(llama):
    found = run("plan", llama, "-b", 6, "--per-module", "--stability", "nominal", "--seed", 3)
    assert "counts in 1,000 nominal draws (seed 3)" in found.stdout
    assert "firm in at least 90% of the draws: " in found.stdout
    header = found.stdout.splitlines()[1].split()
    assert header == [
        "stack", "layer", "alpha", "±", "nominal", "down_proj", "gate_proj", "up_proj", "k_proj",
        "o_proj", "q_proj", "v_proj",
    ]  # fmt: skip
    assert "self_attn.q_proj" in found.stdout


def test_shapes_have_no_stability(llama):
    fails(
        "plan", llama, "--method", "mola", "--stability", "all", code=2,
        message="method mola uses no alphas, so there is nothing to question",
    )  # fmt: skip
    assert document("plan", llama, "--method", "mola")["scatter"] == []


def test_subsampling_reaches_the_plan(llama):
    options = ("--sample-rows", 16, "--sample-ratio", 1.5, "--sample-starts", 4)
    made = document("plan", llama, "-b", 6, "--aspect", "subsample", *options)
    assert made["parameters"]["windows"] == {"rows": 16, "ratio": 1.5, "starts": 4}
    assert made["parameters"]["aspect"] == "subsample"
    found = document("analyze", llama, "--aspect", "subsample", *options)
    assert found["settings"]["windows"] == {"rows": 16, "ratio": 1.5, "starts": 4}
    doubted = run("plan", llama, "-b", 6, "--aspect", "subsample", "--stability", "all")
    assert "nominal draws: none (not_applicable)" in doubted.stdout
    assert "resampling draws: none (not_applicable)" in doubted.stdout
    run("analyze", llama, "--aspect", "subsample")


def test_tails_without_a_fit_are_not_counted(llama, tmp_path):
    weights = load_file(llama / "model.safetensors")
    weights["model.layers.1.self_attn.q_proj.weight"].zero_()
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((llama / "config.json").read_bytes())
    found = run("analyze", tmp_path, "--compare-distributions")
    assert "of 13, the other in" in found.stdout


def test_distributions_are_compared(llama):
    found = run("analyze", llama, "--compare-distributions")
    assert "likelihood ratio of a power law over others, in the tail by hill" in found.stdout
    assert "against lognormal: the power law is favoured in" in found.stdout
    assert "of 14" in found.stdout
    made = document("analyze", llama, "--compare-distributions", "--estimator", "ks")
    names = ["lognormal", "exponential", "truncated_power_law"]
    for matrix in made["matrices"]:
        assert [c["alternative"] for c in matrix["likelihood_ratios"]] == names
    assert document("analyze", llama)["matrices"][0]["likelihood_ratios"] is None


def test_scores_have_no_stability(tmp_path):
    scores = tmp_path / "scores.json"
    scores.write_text("[1, 2]")
    fails(
        "plan", "--scores", scores, "-b", 4, "--stability", "nominal", code=2,
        message="--stability needs a MODEL",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--stability", "bootstrap"), "stability bootstrap is unknown; use estimators, nominal"),
        (("--stability", "resampling", "--draws", 1), "1 draws of halves; use 2 to 10000"),
        (("--stability", "resampling", "--seed", -1), "the seed is -1"),
        (("--aspect", "subsample", "--sample-rows", 0), "sample-rows is 0"),
        (("--sample-rows", 9), "are for --aspect subsample; add it, or leave them out"),
        (("--aspect", "farms"), "use one of none, marchenko_pastur, subsample"),
    ],
)
def test_bad_options_are_refused_before_anything_is_read(tmp_path, arguments, message):
    fails("plan", tmp_path / "nowhere", "-b", 4, *arguments, code=2, message=message)
