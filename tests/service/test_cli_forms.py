"""Export and import as a user runs them: pipes, folders, files that are something else."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.families import save_family
from tests.golden import llama2_scores, published_plan
from tests.service.command import TAILORA, document, fails, run, variables

WRITABLE = ("mola", "mola_eval", "guilomo", "moe_peft", "adamole", "mole", "peft", "csv",
            "markdown")  # fmt: skip


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    save_family("llama", folder)
    return folder


@pytest.fixture(scope="module")
def plan_file(llama, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("plan") / "plan.json"
    run("plan", llama, "--method", "custom", "--counts", "1,3", "--out", out)
    return out


def test_flags_through_a_pipe(plan_file, llama):
    flags = run("export", plan_file, "--to", "mola").stdout
    assert '--number_experts "1,3" \\\n' in flags
    piped = run_with(flags, "import", "-", "--json")
    assert [layer["experts"] for layer in json.loads(piped.stdout)["layers"]] == [1, 3]
    again = run_with(plan_file.read_text(), "export", "-", "--to", "mola")
    assert again.stdout == flags


def run_with(text, *arguments):
    import subprocess

    found = subprocess.run(
        [*TAILORA, *map(str, arguments)], input=text, capture_output=True, text=True,
        env=variables(), timeout=300,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found


def test_an_import_for_a_model_is_the_custom_plan_of_its_files(plan_file, llama, tmp_path):
    """The same weights, counts and parameters: the same digest, whichever way the plan came."""
    table = tmp_path / "plan.csv"
    run("export", plan_file, "--to", "csv", "--out", table)
    found = document("import", table, "--model", llama)
    assert found["digest"] == json.loads(plan_file.read_text())["digest"]
    assert found["warnings"] == []


def test_several_files(plan_file, tmp_path):
    shown = run("export", plan_file, "--to", "guilomo").stdout
    assert shown.startswith("# expert.json\n{\n")
    assert "\n# rank.json\n" in shown
    folder = tmp_path / "guilomo"
    for _ in range(2):
        assert run("export", plan_file, "--to", "guilomo", "--out", folder).stdout == ""
    assert {path.name for path in folder.iterdir()} == {"expert.json", "rank.json", "flags.txt"}
    made = document("import", folder)
    assert made["warnings"] == []
    assert made["budget"]["allocated"] == 4
    two = document("import", folder / "rank.json", folder / "expert.json")
    assert [layer["top_k"] for layer in two["layers"]] == [1, 2]
    fails("import", folder / "rank.json", folder / "rank.json", code=2, message="two files")


def test_one_file(plan_file, tmp_path):
    out = tmp_path / "flags.txt"
    run("export", plan_file, "--to", "mola", "--out", out)
    assert out.read_text() == run("export", plan_file, "--to", "mola").stdout
    run("export", plan_file, "--to", "csv", "--out", tmp_path)
    made = document("import", tmp_path / "plan.csv")
    assert made["trainable_parameters"] == json.loads(plan_file.read_text())["trainable_parameters"]


def test_json(plan_file):
    made = document("export", plan_file, "--to", "peft")
    assert made["target"] == "peft"
    assert set(made) == {"target", "files", "warnings"}
    config = json.loads(made["files"]["adapter_config.json"])
    assert config["rank_pattern"][r"layers\.1\.mlp\.up_proj"] == 24


def test_the_nearest(plan_file):
    message = "the nearest is 2 experts with top_k 2 and rank 8 everywhere: take it with --nearest"
    fails("export", plan_file, "--to", "moe_peft", code=2, message=message)
    made = document("export", plan_file, "--to", "moe_peft", "--nearest")
    assert json.loads(made["files"]["job.json"])["lora"][0]["num_experts"] == 2


def test_every_option_of_import_reaches_the_plan(llama, tmp_path):
    published = published_plan()
    path = tmp_path / "counts"
    path.write_text(" ".join(map(str, published["allocation"])))
    out = tmp_path / "plan.json"
    made = document(
        "import", path, "--from", "list", "--top-k", 3, "--rank", 4, "--lora-alpha", 32,
        "--layers", 32, "--out", out,
    )  # fmt: skip
    assert json.loads(out.read_text()) == made
    assert made["method"] == "custom"
    assert (made["parameters"]["top_k"], made["parameters"]["rank"]) == (3, 4)
    assert made["parameters"]["lora_alpha"] == 32.0
    path.write_text("1,3")
    made = document(
        "import", path, "--model", llama, "--modules", "q_proj,v_proj", "--stack", "text"
    )
    assert [m["name"] for m in made["layers"][0]["modules"]] == [
        "self_attn.q_proj", "self_attn.v_proj",
    ]  # fmt: skip
    assert made["layers"][0]["modules"][0]["shape"] == [32, 32]
    assert made["trainable_parameters"] > 0
    table = run("import", path)
    assert "no model: custom" in table.stdout
    assert "experts: 1 3\n" in table.stdout
    assert "warning: rank was not given: 8" in table.stderr


def test_scores_in_arrays(llama, tmp_path):
    path = tmp_path / "alpha_peak.npy"
    np.save(path, np.array(llama2_scores()))
    made = document(
        "import", path, "--order", "alphapruning", "--budget", 160, "--beta", 3, "--per-module"
    )
    assert made["budget"] == {
        "kind": "experts", "requested": 160, "experts": 160, "allocated": 1120,
    }  # fmt: skip
    assert made["parameters"]["beta"] == 3.0
    same = document(
        "plan", "--scores", path, "--order", "alphapruning", "-b", 160, "--beta", 3, "--per-module"
    )
    assert same["layers"] == made["layers"]
    chosen = document(
        "plan", "--scores", path, "--order", "farms", "-b", 5, "--budget-kind", "mean",
        "--modules", "q_proj", "--max-experts", 7,
    )  # fmt: skip
    assert chosen["budget"]["experts"] == 160
    assert max(layer["experts"] for layer in chosen["layers"]) == 7
    assert [m["name"] for m in chosen["layers"][0]["modules"]] == ["self_attn.q_proj"]
    fails("plan", "--scores", path, "-b", 160, code=2, message="give --order")
    fails("plan", llama, "--order", "farms", "-b", 6, code=2, message="--order is for scores")
    fails(
        "plan", "--scores", path, "--order", "farms", "-b", 1e6, "--budget-kind", "parameters",
        code=2, message="needs the shapes of a model",
    )  # fmt: skip


def test_ranks_of_single_experts_take_nearest(tmp_path):
    name = "model.layers.0.q"
    (tmp_path / "expert.json").write_text(json.dumps({name: 2}))
    ranks = {f"{name}.expertlora_E_vector_{at}": 4 + 2 * at for at in range(2)}
    (tmp_path / "rank.json").write_text(json.dumps(ranks))
    fails("import", tmp_path, code=2, message="--nearest")
    made = document("import", tmp_path, "--nearest")
    assert made["layers"][0]["modules"][0]["rank"] == 5


@pytest.mark.parametrize("target", WRITABLE)
def test_files_that_are_no_plans(tmp_path, target):
    out = tmp_path / "out"
    path = tmp_path / "plan.json"
    path.write_bytes(b"\x00\xff rubbish")
    fails("export", path, "--to", target, "--out", out, code=2, message="this is no plan")
    assert not out.exists()


def test_plans_that_were_changed(plan_file, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(plan_file.read_text().replace('"experts": 3', '"experts": 4'))
    fails("export", path, "--to", "mola", code=2, message="its digest does not fit")
    fails("export", tmp_path / "none", "--to", "mola", code=2, message="cannot read")
    fails("export", tmp_path, "--to", "mola", code=2, message="cannot read")
    fails("export", plan_file, "--to", "onnx", code=2, message="use one of mola")
    fails(
        "export", plan_file, "--to", "mola", "--out", tmp_path / "no" / "file", code=2,
        message="choose another --out",
    )  # fmt: skip
    fails(
        "export", plan_file, "--to", "guilomo", "--out", path, code=2,
        message="choose another --out",
    )  # fmt: skip
    fails(
        "export", plan_file, "--to", "guilomo", "--out", tmp_path / "a" / "b", code=2,
        message="choose another --out",
    )  # fmt: skip


def test_imports_that_fail(llama, tmp_path):
    path = tmp_path / "file"
    path.write_text("1,3,5")
    out = tmp_path / "plan.json"
    for arguments, message in (
        ([path, "--model", llama], "3 values, but there are 2 layers"),
        ([path, "--from", "onnx"], "use one of mola"),
        ([tmp_path / "none"], "cannot read"),
        ([tmp_path / "empty"], "is a folder without expert.json"),
        ([path, "--rank", 0], "at least 1"),
        ([path, "--from", "csv"], "has no rows"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        fails("import", *arguments, "--out", out, code=2, message=message)
        assert not out.exists()
    fails("import", path, "--model", tmp_path / "none", code=4, message="does not exist")
    path.write_bytes(bytes(range(256)))
    fails("import", path, code=2, message="say it with --from")
