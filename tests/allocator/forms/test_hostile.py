"""Text, bytes and JSON that nobody wrote for us: one line, never a traceback."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from allocator.errors import AllocatorError
from allocator.exports import export_plan
from allocator.forms.registry import FORMS
from allocator.imports import import_plan
from tests.allocator.forms.plans import even

READABLE = [form.name for form in FORMS.values() if form.read]
WORDS = {"layers": 2, "order": "layer", "budget": None}


def swallowed(given_files, form):
    """Import it; what comes is a plan or one line."""
    for words in ({}, {"layers": 2}, {"order": "layer", "budget": 50} if form == "scores" else {}):
        try:
            made = import_plan(given_files, form, **words)
        except AllocatorError as error:
            message = str(error)
            assert message
            assert "\n" not in message
            assert len(message) < 1000
        else:
            assert min(made.counts) >= 1
            assert made.to_json().encode()


keys = st.sampled_from(
    ["r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern", "lora", "num_experts",
     "top_k", "routing_strategy", "model.layers.0.q", "model.layers.0.q.expertlora_E_vector_0",
     "layers\\.0\\.q_proj", "peft_type"]
)  # fmt: skip
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["mola", "LORA", "layers.0.q_proj", "q_proj", 1, 2, 8, 16.0])
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(max_size=5), inner),
    max_leaves=12,
)
words = st.sampled_from(
    ["--number_experts", "--top_k", "--lora_r", "--peft_type=mole", "--num_experts=2", "\\\n",
     "--lora_rank=8", "1,3", "(1,2)", "\"", "'", "#", "\n", " ", ";", "|", "layer", "experts",
     ",", "0", "1", "&#55296;", "\\", "\x00", "é", "$X", "--lora_target_modules", "q_proj,"]
)  # fmt: skip


@pytest.mark.parametrize("form", READABLE)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200),
                 st.lists(words, max_size=30).map("".join)))  # fmt: skip
@example(b"\xff\xfe")
@example("[" * 100_000)
@example("9" * 5000)
@example('{"a":' * 50)
@example("\ud800")
def test_rubbish(form, content):
    swallowed(content, form)


@pytest.mark.parametrize("form", ["guilomo", "moe_peft", "peft", "scores", "list"])
@given(values)
def test_json(form, value):
    swallowed(json.dumps(value), form)


@given(values, values)
def test_pairs_of_json(first, second):
    swallowed({"a": json.dumps(first), "b": json.dumps(second)}, "guilomo")
    swallowed({"a": json.dumps(first), "b": json.dumps(second)}, None)


@given(st.binary(max_size=120))
def test_arrays(tail):
    for version in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        swallowed(b"\x93NUMPY" + version + tail, "scores")
    header = b"\x93NUMPY\x01\x00" + len(tail).to_bytes(2, "little") + tail
    swallowed(header, "scores")


@given(st.one_of(st.binary(max_size=100), st.text(max_size=100), values.map(json.dumps)))
def test_forms_are_recognised_or_not(content):
    swallowed(content, None)


@pytest.mark.parametrize("form", ["mola", "moe_peft", "adamole", "mole", "peft", "csv", "markdown"])
@given(st.data())
def test_damaged_exports(form, data):
    (text,) = export_plan(even("llama"), form).files.values()
    at = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 20))
    swallowed(text[:at] + data.draw(st.text(max_size=10)) + text[at + length :], form)


def test_what_a_file_obviously_is():
    made = even("llama")
    for form, name in (("csv", "p.csv"), ("markdown", "p.md"), ("peft", "c.json"), ("mola", "run"),
                       ("moe_peft", "job.json"), ("mole", "args.txt")):  # fmt: skip
        (text,) = export_plan(made, form).files.values()
        assert import_plan({name: text}, layers=2).counts == (3, 3)
    with pytest.raises(AllocatorError, match="the file is empty"):
        import_plan({"x": " \n"}, layers=2)
    with pytest.raises(AllocatorError, match="a document of tailora.analysis/1, not a plan"):
        import_plan({"x": '{"schema": "tailora.analysis/1"}'}, layers=2)
    for form in ("csv", "markdown"):
        (text,) = export_plan(made, form).files.values()
        assert import_plan({"-": text}).counts == (3, 3)
    expert = export_plan(made, "guilomo").files["expert.json"]
    with pytest.raises(AllocatorError, match="guilomo is two files"):
        import_plan({"x": expert})
    assert import_plan({"x": "[1.5, 2]"}, budget=7).counts == (2, 5)
    for text in ('["a"]', "[1.5, 2]", "{}", "hello", "--peft_type=mole --number_experts 2"):
        with pytest.raises(AllocatorError, match="say it with --from"):
            import_plan(text)
    with pytest.raises(AllocatorError, match="a plan already"):
        import_plan(made.to_json())


def test_words_that_do_not_go_together():
    for words, message in (
        ({"budget": 5}, "are for scores"),
        ({"stack": "text"}, "needs a --model"),
        ({"layers": 3}, "gives 2 values, but there are 3 layers"),
        ({"layers": 0}, "use 1 to"),
        ({"rank": 0}, "at least 1"),
        ({"top_k": True}, "at least 1"),
        ({"lora_alpha": float("nan")}, "positive number"),
        ({"banana": 1}, "knows no banana"),
        ({"form": "onnx"}, "form onnx is unknown; use one of mola"),
    ):
        with pytest.raises(AllocatorError, match=message):
            import_plan("1,3", **words)
    with pytest.raises(AllocatorError, match="--rank 4 contradicts the file"):
        import_plan('--number_experts "1,3" --lora_r "8,8"', rank=4)
    with pytest.raises(AllocatorError, match="--lora-alpha 4 contradicts the file, which says 8"):
        import_plan('--number_experts "1,3" --lora_alpha 8', lora_alpha=4)
    with pytest.raises(AllocatorError, match="target onnx is unknown; use one of mola"):
        export_plan(even("llama"), "onnx")
    with pytest.raises(AllocatorError, match="target list is unknown"):
        export_plan(even("llama"), "list")
