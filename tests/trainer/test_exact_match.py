"""Generated answers against those of the samples."""

from itertools import pairwise

import pytest
import torch
import transformers
from peft import get_peft_model

from tests.families import FAMILIES
from tests.trainer.conftest import randomise
from tests.trainer.test_dataset import EOS, TEMPLATE, lines, tokenizer_of
from trainer.dataset.whole import whole
from trainer.errors import InvalidData
from trainer.evaluate import Generation, evaluate
from trainer.tuner import MixtureConfig

ROWS = [
    {"prompt": "w10 w11", "completion": "w20 w21 w22"},
    {"prompt": "w12", "completion": "w23"},
    {"prompt": "w13 w14 w15 w16", "completion": "w24 w25"},
    {"prompt": "w17 w18 w19", "completion": "w26 w27 w28 w29 w30"},
]


def held_out(tmp_path, rows, **words):
    return whole(lines(tmp_path / "rows.jsonl", rows), tokenizer_of(**words), 32)


def memorise(model, samples):
    """Plain PyTorch, until every learnt token is the likeliest."""
    optimiser = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
    model.train()
    for _ in range(400):
        right = True
        for sample in samples:
            ids, labels = torch.tensor([sample.input_ids]), torch.tensor([sample.labels])
            found = model(input_ids=ids, labels=labels)
            found.loss.backward()
            learnt = labels[0, 1:] != -100
            top = found.logits[0, :-1].argmax(dim=-1)
            right = right and bool((top == labels[0, 1:])[learnt].all())
        if right:
            return
        optimiser.step()
        optimiser.zero_grad()
    raise AssertionError("400 steps did not do")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_what_was_memorised_is_matched_and_nothing_else(tmp_path, family):
    found = held_out(tmp_path, ROWS)
    torch.manual_seed(0)
    model = FAMILIES[family]()
    generation = Generation(found.prompts(9), found.tokenizer)
    words = {"pad_id": EOS, "generation": generation}
    assert evaluate(model, found.samples, **words).exact_match == 0
    memorise(model, found.samples[:3])
    for batch in (1, 2, 4):
        measured = evaluate(model, found.samples, batch=batch, **words)
        assert (measured.exact_match, measured.exact_match_samples) == (3 / 4, 4)
    few = Generation(generation.prompts, found.tokenizer, new_tokens=2)
    short = evaluate(model, found.samples, EOS, generation=few)
    assert short.exact_match == 2 / 4, "an answer of three tokens is cut"
    first = Generation(found.prompts(1), found.tokenizer)
    assert evaluate(model, found.samples, EOS, generation=first).exact_match_samples == 1


def test_a_mixture_generates_and_its_base_keeps_its_settings(tmp_path, family):
    found = held_out(tmp_path, ROWS)
    base, plan = family("llama", (2, 3))
    base.generation_config = transformers.GenerationConfig(
        do_sample=True, temperature=9.0, repetition_penalty=9.0, eos_token_id=60, pad_token_id=0
    )
    before = base.generation_config.to_dict()
    model = randomise(get_peft_model(base, MixtureConfig.from_plan(plan)))
    memorise(model, found.samples)
    generation = Generation(found.prompts(4), found.tokenizer)
    measured = evaluate(model, found.samples, EOS, 3, generation=generation)
    assert measured.exact_match == 1
    assert base.generation_config.to_dict() == before
    assert model.training


def test_a_conversation_is_continued_where_its_last_answer_begins(tmp_path):
    turns = ["w10", "w20 w21", "w11", "w22"]
    roles = ["user", "assistant"] * 2
    row = {"messages": [{"role": r, "content": c} for r, c in zip(roles, turns, strict=True)]}
    found = held_out(tmp_path, [row], template=TEMPLATE)
    (prompt,) = found.prompts(3)
    said = [[int(word[1:]) for word in turn.split()] for turn in turns]
    user, answer, end = 2, 3, 4
    wanted = [0, user, *said[0], end, answer, *said[1], end, user, *said[2], end, answer]
    assert prompt.ids == wanted
    assert prompt.answer == "w22"
    assert prompt.end == end


def test_cut_samples_are_left_out_and_texts_have_no_prompt(tmp_path):
    rows = [{"prompt": "w10 " * 29, "completion": "w20 w21 w22"}, *ROWS[:1]]
    found = held_out(tmp_path, rows)
    assert [len(sample.input_ids) for sample in found.samples] == [32, 7]
    assert [prompt.ids for prompt in found.prompts(5)] == [[0, 10, 11]]
    texts = held_out(tmp_path, [{"text": "w10 w11"}])
    with pytest.raises(InvalidData, match="no sample with a prompt"):
        texts.prompts(3)


def test_batches_do_not_change_what_is_generated(adapted, tmp_path):
    """Left padding: of one random model, each prompt alone and all at once."""
    rows = [
        {"prompt": " ".join(f"w{word}" for word in range(10, 10 + length)), "completion": "w9"}
        for length in (1, 3, 6, 8)
    ]
    found = held_out(tmp_path, rows)
    model = adapted("llama", (2, 3))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    prompts = found.prompts(9)
    made = []
    for prompt in prompts:
        ids = torch.tensor([prompt.ids])
        for _ in range(6):
            with torch.no_grad():
                ids = torch.cat([ids, model.eval()(ids).logits[:, -1].argmax(-1)[None]], dim=1)
        answer = ids[0, len(prompt.ids) :].tolist()
        made.append(answer[: answer.index(EOS)] if EOS in answer else answer)
    assert any(a != b for a, b in pairwise(made))
    wanted = [
        prompt._replace(answer=found.tokenizer.decode(answer, skip_special_tokens=True).strip())
        for prompt, answer in zip(prompts, made, strict=True)
    ]
    generation = Generation(wanted, found.tokenizer, new_tokens=6)
    for batch in (1, 2, 4):
        assert evaluate(model, found.samples, EOS, batch, generation=generation).exact_match == 1
