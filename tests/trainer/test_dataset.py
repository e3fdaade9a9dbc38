"""Files of rows as samples: forms, loss masks token by token, splits, reports, bad input."""

import csv
import json

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from trainer.dataset.collate import Collate
from trainer.dataset.columns import form_of, task_of
from trainer.dataset.encode import Sample
from trainer.dataset.examples import Choice
from trainer.dataset.prepare import prepare
from trainer.dataset.split import split
from trainer.errors import InvalidData
from trainer.recipe import Data

BOS, EOS, USER, ANSWER, END = 0, 1, 2, 3, 4
NO = -100
TEMPLATE = (
    "<s>{% for m in messages %}{{ '<user>' if m.role == 'user' else '<answer>' }} "
    "{{ m.content }} <end>{% endfor %}{% if add_generation_prompt %}<answer>{% endif %}"
)
ROW = {"prompt": "w10 w11", "completion": "w12"}


def tokenizer_of(template=None, bos=True, eos="</s>"):
    """`w10` is token 10, any other word 5; padding is EOS."""
    marks = ["<s>", "</s>", "<user>", "<answer>", "<end>"]
    words = ["?", *(f"w{number}" for number in range(6, 64))]
    vocabulary = {word: number for number, word in enumerate(marks + words)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(marks)
    if bos:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", BOS)]
        )
    found = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=eos, pad_token="</s>")
    found.chat_template = template
    return found


def lines(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def prepared(place, tokenizer=None, task=None, **options):
    data = Data(sums=(), train=str(place), **options)
    return prepare(data, tokenizer or tokenizer_of(), task=task)


def only(tmp_path, row, tokenizer=None, **options):
    """The sample that is made of a row."""
    file = lines(tmp_path / "one.jsonl", [row, row])
    found = prepared(file, tokenizer, held_out=file, **options)
    assert found.train[0] == found.train[1] == found.held_out[0]
    return found.train[0]


def refused(tmp_path, rows, *words, **options):
    file = rows if isinstance(rows, str) else lines(tmp_path / "refused.jsonl", rows)
    with pytest.raises(InvalidData) as caught:
        prepared(file, **options)
    for word in words:
        assert word in str(caught.value)


def test_loss_lies_on_the_completion_and_on_eos_though_it_is_the_padding(tmp_path):
    sample = only(tmp_path, ROW)
    assert sample == Sample([BOS, 10, 11, 12, EOS], [NO, NO, NO, 12, EOS])


def test_what_the_user_ended_is_not_ended_twice(tmp_path):
    sample = only(tmp_path, {"prompt": "w10", "completion": "w12 </s>"}, tokenizer_of(bos=False))
    assert sample == Sample([10, 12, EOS], [NO, 12, EOS])


def test_a_token_over_the_border_is_not_made(tmp_path):
    made = tokenizer_of()
    row = {"prompt": "w1", "completion": "0 w11"}
    assert made("w10 w11").input_ids == [BOS, 10, 11]
    assert only(tmp_path, row, made) == Sample([BOS, 5, 5, 11, EOS], [NO, NO, 5, 11, EOS])


def test_an_instruction_stands_before_its_input(tmp_path):
    row = {"instruction": "w10", "input": "w11", "output": "w12"}
    assert only(tmp_path, row) == Sample([BOS, 10, 11, 12, EOS], [NO, NO, NO, 12, EOS])
    row["input"] = ""
    assert only(tmp_path, row) == Sample([BOS, 10, 12, EOS], [NO, NO, 12, EOS])


def test_a_text_is_learnt_whole(tmp_path):
    sample = only(tmp_path, {"text": "w10 w11"})
    assert sample == Sample([BOS, 10, 11, EOS], [BOS, 10, 11, EOS])


def test_chat_loss_lies_on_every_assistant_turn(tmp_path):
    turns = [("user", "w10"), ("assistant", "w11"), ("user", "w12"), ("assistant", "w13 w14")]
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    made = tokenizer_of(TEMPLATE)
    sample = only(tmp_path, row, made)
    expected = [
        (BOS, NO), (USER, NO), (10, NO), (END, NO), (ANSWER, NO), (11, 11), (END, END),
        (USER, NO), (12, NO), (END, NO), (ANSWER, NO), (13, 13), (14, 14), (END, END),
    ]  # fmt: skip
    assert list(zip(*sample, strict=True)) == expected
    assert sample.input_ids == made.apply_chat_template(row["messages"]).input_ids
    row["messages"].append({"role": "user", "content": "w15"})
    assert only(tmp_path, row, made) == sample, "what follows the last answer is left out"


def test_a_template_that_marks_no_end_gets_eos(tmp_path):
    template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    row = {
        "messages": [{"role": "user", "content": "w10"}, {"role": "assistant", "content": "w11"}]
    }
    assert only(tmp_path, row, tokenizer_of(template)) == Sample([10, 11, EOS], [NO, 11, EOS])


def chat(count=1):
    turns = [{"role": "user", "content": "w10"}, {"role": "assistant", "content": "w11"}]
    return {"messages": turns * count}


def test_bad_templates(tmp_path):
    refused(tmp_path, [chat()], "no chat template", "instruct")
    # the answers before the last one are left out, as reasoning models do
    forgets = "{% for m in messages %}{% if loop.last or m.role == 'user' %}{{ m.content }} " \
        "{% endif %}{% endfor %}"  # fmt: skip
    assert only(tmp_path, chat(2), tokenizer_of(forgets)) == Sample(
        [10, 10, 11, EOS], [NO, NO, 11, EOS]
    )
    counts = "w{{ 20 + messages | length }} {% for m in messages %}{{ m.content }} {% endfor %}"
    made = tokenizer_of(counts)
    refused(tmp_path, [chat(), chat(2)], "message 2 in line 1", "another way", tokenizer=made)
    made = tokenizer_of("{{ raise_exception('roles must alternate') }}")
    refused(tmp_path, [chat()], "line 1 of", "roles must alternate", tokenizer=made)


def test_where_former_thoughts_are_left_out_the_last_answer_alone_is_learnt(tmp_path):
    """As templates of reasoning models do; a conversation of one answer is learnt as ever."""
    template = (
        "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}"
        "{% set ns.last = loop.index %}{% endif %}{% endfor %}{% for m in messages %}"
        "{{ '<user>' if m.role == 'user' else '<answer>' }} {{ m.content if loop.index > ns.last "
        "else m.content.split('w9 ')[-1] }} <end>{% endfor %}"
        "{% if add_generation_prompt %}<answer>{% endif %}"
    )
    turns = [("user", "w10"), ("assistant", "w20 w9 w11"), ("user", "w12"),
             ("assistant", "w21 w9 w13")]  # fmt: skip
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    made = tokenizer_of(template)
    expected = [
        (USER, NO), (10, NO), (END, NO), (ANSWER, NO), (11, NO), (END, NO), (USER, NO), (12, NO),
        (END, NO), (ANSWER, NO), (21, 21), (9, 9), (13, 13), (END, END),
    ]  # fmt: skip
    assert list(zip(*only(tmp_path, row, made), strict=True)) == expected
    short = {"messages": row["messages"][:2]}
    file = lines(tmp_path / "both.jsonl", [row, short, row])
    report = prepared(file, made, held_out=file).report
    assert report.last_only == 2
    assert "  2 conversations of which the last answer alone is learnt" in report.lines()[1]
    assert only(tmp_path, short, made).labels == [NO, NO, NO, NO, 20, 9, 11, END]


def test_bad_conversations(tmp_path):
    made = tokenizer_of(TEMPLATE)
    refused(tmp_path, [{"messages": "hello"}], "line 1", "no list", tokenizer=made)
    refused(tmp_path, [{"messages": ["hello"]}], "message 1 in line 1", tokenizer=made)
    row = {"messages": [{"role": "user", "content": 5}]}
    refused(tmp_path, [row], "message 1 in line 1", "`content`", tokenizer=made)
    unanswered = {"messages": chat()["messages"][:1]}
    refused(tmp_path, [unanswered], "1 of 1 rows", "empty", tokenizer=made)


def test_choices_are_lettered_and_kept_for_evaluation(tmp_path):
    rows = [
        {"question": "w10", "choices": ["w11", "w12"], "answer": 1},
        {"question": "w10", "choices": ["w11", "w12"], "answer": "w12"},
    ]
    file = lines(tmp_path / "data.jsonl", rows)
    made = tokenizer_of()
    found = prepared(file, made, held_out=file)
    prompt = made("w10\nA. w11\nB. w12\nAnswer:").input_ids
    expected = Sample([*prompt, 12, EOS], [NO] * len(prompt) + [12, EOS])
    assert found.train == [expected, expected]
    assert found.choices == (Choice("w10", ("w11", "w12"), 1),) * 2
    assert found.task == "choice"
    assert found.labels is None
    table = tmp_path / "data.csv"
    with table.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerows([["question", "choices", "answer"], ["w10", '["w11", "w12"]', "1"]])
    assert prepared(table, made, held_out=file).train == [expected]
    for answer in (2, "w13", True, -1, 0.5):
        bad = [{**rows[0], "answer": answer}]
        refused(tmp_path, bad, "`answer` in line 1", "0 to 1")
    refused(tmp_path, [{**rows[0], "choices": ["w1"], "answer": 0}], "give 2 to 26")


def test_classes(tmp_path):
    texts = ["w10 w11 w12", "w13", "w14", "w15"]
    rows = [{"text": text, "label": label} for text, label in zip(texts, "baab", strict=True)]
    file = lines(tmp_path / "data.jsonl", rows)
    made = tokenizer_of()
    found = prepared(file, made, held_out=file)
    assert found.labels == ("a", "b")
    assert found.train == [
        Sample(made(text).input_ids, label) for text, label in zip(texts, [1, 0, 0, 1], strict=True)
    ]
    assert found.report.labels == {"a": 2, "b": 2}
    assert prepared(file, made, held_out=file, labels=("b", "a", "c")).train[0].labels == 0
    long = lines(tmp_path / "long.jsonl", [{"text": "w9 " * 20, "label": "a"}, *rows])
    found = prepared(long, made, held_out=file, length=8)
    assert found.train[0].input_ids == [BOS, *[9] * 7]
    assert found.report.cut == 1
    refused(tmp_path, rows, "line 1 of", "'b'", "a, c", labels=("a", "c"))
    refused(tmp_path, rows[1:3], "only one class (a)")
    refused(tmp_path, [{"text": "w1", "label": 0.5}], "`label` in line 1")
    other = lines(tmp_path / "other.jsonl", [*rows, {"text": "w1", "label": "new"}])
    refused(tmp_path, file, "line 5 of", "other.jsonl", "'new'", held_out=other)


def test_numbers_as_classes_are_in_the_order_of_numbers(tmp_path):
    rows = [{"text": f"w{10 + label}", "label": label} for label in (10, 2, 0, 1)]
    assert prepared(lines(tmp_path / "data.jsonl", rows)).labels == ("0", "1", "2", "10")


def test_long_samples_are_cut_and_those_without_loss_left_out(tmp_path):
    rows = [
        {"prompt": "w10", "completion": "w11 " * 20},
        {"prompt": "w10 " * 7, "completion": "w11"},
        {"prompt": "w10 " * 6, "completion": "w12"},
    ]
    file = lines(tmp_path / "data.jsonl", rows)
    found = prepared(file, held_out=file, length=8)
    assert found.train == [
        Sample([BOS, 10, *[11] * 6], [NO, NO, *[11] * 6]),
        Sample([BOS, *[10] * 6, 12], [NO] * 7 + [12]),
    ]
    report = found.report
    assert (report.rows, report.used, report.cut, report.dropped) == (3, 2, 2, 1)
    refused(tmp_path, rows[1:2] * 2, "beyond 8 tokens", held_out=file, length=8)


def test_the_report(tmp_path):
    rows = [{"text": "w10"}, {"text": " "}, {"text": None}, {}, *[{"text": "w10 w11"}] * 6]
    file = tmp_path / "data.jsonl"
    lines(file, rows)
    file.write_text("\n" + file.read_text())
    found = prepared(file, held_out_share=0.14)
    report = found.report
    assert (report.rows, report.used, report.empty, report.cut, report.dropped) == (10, 7, 3, 0, 0)
    assert report.empty_numbers == (3, 4, 5)
    assert report.tokens.model_dump() == {
        "smallest": 3, "median": 4, "largest": 4, "total": 3 + 6 * 4,
    }  # fmt: skip
    assert (report.form, report.task, report.held_out) == ("text", "language", 1)
    assert [len(found.train), len(found.held_out)] == [6, 1]
    assert report.lines() == [
        f"{file}: 10 rows (text), 7 used, 1 of them held out",
        "  3 empty, left out: 3, 4, 5",
        "  tokens: 3 to 4 a sample, median 4, 27 in all",
    ]
    refused(tmp_path, [{"text": ""}, {"text": " "}, {"text": "w1"}], "2 of 3", "line 1, 2")


def test_forms():
    assert form_of(["id", "text", "messages"]) == "chat"
    assert form_of(["prompt", "completion", "text"]) == "completion"
    assert form_of(["output", "input", "instruction"]) == "instruction"
    assert form_of(["question", "choices", "answer"]) == "choice"
    assert form_of(["label", "text"]) == "classification"
    assert form_of(["label", "text"], "language") == "text"
    assert form_of(["text"]) == "text"
    assert [task_of("chat"), task_of("choice"), task_of("classification")] == [
        "language", "choice", "classification",
    ]  # fmt: skip
    with pytest.raises(InvalidData, match=r"body, title.*messages; or prompt \+ completion"):
        form_of(["body", "title"])


def test_a_task_that_the_columns_are_not_for(tmp_path):
    refused(tmp_path, [ROW], "prompt, completion", "task choice", "question", task="choice")
    other = lines(tmp_path / "other.jsonl", [{"text": "w10"}])
    refused(tmp_path, [ROW], "other.jsonl", "prompt + completion", held_out=other)


def test_a_tokenizer_without_eos(tmp_path):
    refused(tmp_path, [ROW], "end-of-sequence", tokenizer=tokenizer_of(eos=None))


def test_equal_rows_stay_on_one_side_whatever_their_order():
    contents = [f"row {number % 50}" for number in range(200)]
    trained, held = split(contents, 0.25, 7)
    assert sorted(trained + held) == list(range(200))
    assert len(held) == 48, "12 of 50 different rows, 4 times each, are nearest to a quarter"
    sides = {contents[index] for index in trained}, {contents[index] for index in held}
    assert not sides[0] & sides[1]
    _, again = split(contents[::-1], 0.25, 7)
    assert {contents[::-1][index] for index in again} == sides[1]
    assert {contents[index] for index in split(contents, 0.25, 8)[1]} != sides[1]
    assert split([{"a": 1, "b": 2}] * 3 + ["x"], 0.9, 0) in (([3], [0, 1, 2]), ([0, 1, 2], [3]))


def test_nothing_to_hold_out(tmp_path):
    refused(tmp_path, [ROW, ROW], "2 usable rows, 1 of them different", "held-out")


def test_samples_side_by_side():
    collate = Collate(EOS)
    found = collate([Sample([7, 8, EOS], [NO, 8, EOS]), Sample([9, 7], [9, 7])])
    expected = {
        "input_ids": [[7, 8, EOS], [9, 7, EOS]],
        "attention_mask": [[1, 1, 1], [1, 1, 0]],
        "labels": [[NO, 8, EOS], [NO, 7, NO]],
    }
    assert {name: value.tolist() for name, value in found.items()} == expected
    classes = collate([Sample([7], 1), Sample([8, 9], 0)])["labels"]
    assert torch.equal(classes, torch.tensor([1, 0]))
