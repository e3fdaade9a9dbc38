"""lm-evaluation-harness scores an adapter as `tailora eval` does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch
import transformers

from tests.trainer.saved import save
from tests.trainer.test_dataset import tokenizer_of
from trainer.assess import assess
from trainer.dataset.columns import form_of
from trainer.dataset.examples import Choice
from trainer.dataset.questions import choice_questions
from trainer.dataset.read import read_rows
from trainer.dataset.source import source_of
from trainer.measures.likelihood import log_likelihoods
from trainer.measures.passes import measuring
from trainer.tuner.facts import load_adapter

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]

EXAMPLES = Path(__file__).parents[2] / "examples" / "harness"


def questions(count):
    draw = Random(3)
    rows = []
    for _ in range(count):
        texts = [
            " ".join(f"w{draw.randint(6, 63)}" for _ in range(draw.randint(1, 4)))
            for _ in range(draw.randint(2, 5))
        ]
        question = " ".join(f"w{draw.randint(6, 63)}" for _ in range(draw.randint(1, 9)))
        rows.append({"question": question, "choices": texts, "answer": draw.randrange(len(texts))})
    return rows


def harness(folder, *words):
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    ended = subprocess.run(
        [sys.executable, "-m", "trainer.harness", "run", "--model", "hf", *words],
        capture_output=True, text=True, env={**os.environ, **offline},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]


def test_the_harness_finds_what_we_find(tmp_path):
    saved = save(tmp_path, counts=(2, 3))
    model = transformers.LlamaForCausalLM.from_pretrained(saved.base)
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(saved.base)
    tokenizer = tokenizer_of()
    tokenizer.save_pretrained(saved.base)
    data = tmp_path / "questions.jsonl"
    rows = questions(40)
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = (EXAMPLES / "tailora_choice.yaml").read_text()
    assert task.count("    test: examples/harness/questions.jsonl\n") == 1
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "task.yaml").write_text(
        task.replace("examples/harness/questions.jsonl", str(data))
    )
    harness(
        tmp_path, "--device", "cpu",
        "--model_args", f"pretrained={saved.base},peft={saved.adapter}",
        "--include_path", str(tmp_path / "tasks"), "--tasks", "tailora_choice",
        "--output_path", str(tmp_path / "out"), "--log_samples", "--batch_size", "4",
    )  # fmt: skip
    (results,) = (tmp_path / "out").rglob("results_*.json")
    theirs = json.loads(results.read_text())["results"]["tailora_choice"]
    ours = assess(saved.adapter, str(data), base=saved.base, length=512).evaluation
    assert theirs["acc,none"] == ours.accuracy
    assert theirs["acc_norm,none"] == ours.accuracy_by_character
    assert ours.accuracy != ours.accuracy_by_character, "or the two were not told apart"

    (logged,) = (tmp_path / "out").rglob("samples_*.jsonl")
    scored = [json.loads(line) for line in logged.read_text().splitlines()]
    wanted = [
        [float(answer[0][0]) for answer in each["resps"]]
        for each in sorted(scored, key=lambda each: each["doc_id"])
    ]
    adapted = load_adapter(model, saved.adapter)
    asked = [Choice(row["question"], tuple(row["choices"]), row["answer"]) for row in rows]
    with measuring(adapted):
        found = log_likelihoods(adapted, choice_questions(asked, tokenizer, 512), 1, 8)
    assert len(wanted) == len(found) == 40
    for one, other in zip(found, wanted, strict=True):
        assert one.tolist() == pytest.approx(other, abs=1e-3)


def test_the_examples_questions_are_data_of_ours():
    rows = read_rows(EXAMPLES / "questions.jsonl")
    form = form_of(rows.columns)
    assert form == "choice"
    assert len(source_of(rows, form).examples) == 6
