"""Out and back again: what a form carries survives, and a second export is the first."""

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from allocator.exports import export_plan
from allocator.imports import import_plan
from allocator.planner import plan
from allocator.subject import Layer, Subject, Target
from tests.allocator.forms.plans import even, given, outline_of, short, varied

TABLES = ("csv", "markdown")
FULL = ("peft", "guilomo")
LISTS = ("mola", "mola_eval")
UNIFORM = ("moe_peft", "adamole", "mole")
CARRIES = {
    "csv": (0, 1, 2, 3), "markdown": (0, 1, 2, 3), "guilomo": (0, 1, 2, 3), "mola": (0, 1, 2, 3),
    "mola_eval": (0, 1), "moe_peft": (0, 1, 2, 3), "mole": (0, 1, 2), "adamole": (0, 2),
    "peft": (0, 2, 3),
}  # fmt: skip
"""Which of experts, top_k, rank and lora_alpha a form says."""


def carried(form, mixtures):
    return {name: [value[at] for at in CARRIES[form]] for name, value in mixtures.items()}


def there_and_back(made, form, **words):
    first = export_plan(made, form)
    back = import_plan(first.files, form, **words)
    assert export_plan(back, form).files == first.files
    return back


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("per_module", [False, True])
@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3", "t5", "llava", "bert"])
def test_tables(family, per_module, form):
    made = varied(family, per_module=per_module, several_ranks=True, lora_alpha=12.5)
    first = export_plan(made, form)
    back = import_plan(first.files, form)
    assert given(back) == given(made)
    shapes = [module.shape for layer in back.layers for module in layer.modules]
    assert shapes == [module.shape for layer in made.layers for module in layer.modules]
    assert back.trainable_parameters == made.trainable_parameters
    assert export_plan(back, form).files == first.files
    if family != "llava":
        assert given(import_plan(first.files, form, model=outline_of(family))) == given(made)


@pytest.mark.parametrize("per_module", [False, True])
@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3", "t5", "llava", "bert", "qwen2_vl"])
def test_peft(family, per_module):
    made = varied(family, per_module=per_module, lora_alpha=32)
    back = there_and_back(made, "peft")
    assert list(carried("peft", given(back)).values()) == list(
        carried("peft", given(made)).values()
    )
    again = import_plan(export_plan(made, "peft").files, "peft", model=outline_of(family))
    assert carried("peft", given(again)) == carried("peft", given(made))


@pytest.mark.parametrize("family", ["llama", "gpt2", "t5"])
def test_peft_with_several_ranks(family):
    made = varied(family, several_ranks=True, lora_alpha=32)
    back = there_and_back(made, "peft", model=outline_of(family))
    assert carried("peft", given(back)) == carried("peft", given(made))


@pytest.mark.parametrize("per_module", [False, True])
@pytest.mark.parametrize("family", ["llama", "phi3", "mixtral"])
def test_guilomo(family, per_module):
    made = varied(family, per_module=per_module, several_ranks=True, top_k=1, lora_alpha=32)
    back = there_and_back(made, "guilomo")
    assert carried("guilomo", given(back)) == carried("guilomo", given(made))


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize("family", ["llama", "phi3", "mistral"])
def test_lists_of_layers(family, form):
    made = varied(family, several_ranks=True, top_k=3, lora_alpha=32)
    back = there_and_back(made, form)
    assert back.counts == made.counts
    assert carried(form, given(back)) == carried(form, short(given(made)))
    again = import_plan(export_plan(made, form).files, form, model=outline_of(family))
    assert carried(form, given(again)) == carried(form, given(made))
    if form == "mola":
        assert again.trainable_parameters == made.trainable_parameters


@pytest.mark.parametrize("form", UNIFORM)
@pytest.mark.parametrize("family", ["llama", "phi3", "phi"])
def test_uniform_forms(family, form):
    made = even(family, experts=4, rank=6, top_k=3)
    back = there_and_back(made, form, layers=len(made.layers))
    assert carried(form, given(back)) == carried(form, short(given(made)))
    again = import_plan(export_plan(made, form).files, form, model=outline_of(family))
    assert carried(form, given(again)) == carried(form, given(made))


numbers = st.integers(1, 40)
names = st.text(min_size=1, max_size=12).filter(lambda name: name.isprintable())


@drawn(st.data())
def test_tables_of_any_plan_with_any_names(data):
    layers, modules = data.draw(st.integers(1, 4)), data.draw(
        st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=4, unique=True)
    )  # fmt: skip
    modules = [name for name in modules if name.encode(errors="ignore").decode() == name] or ["q"]
    size = layers * len(modules)
    many = st.lists(numbers, min_size=size, max_size=size)
    counts, ranks = data.draw(many), data.draw(many)
    top_ks = [min(k, count) for k, count in zip(data.draw(many), counts, strict=True)]
    stack = data.draw(st.sampled_from(["text", "=cmd|' /C calc'!A0", "a;b|c", " vision "]))
    subject = Subject(
        layers=tuple(
            Layer(stack, at, tuple(Target(name, (8, 4)) for name in modules))
            for at in range(layers)
        ),
        values="none",
    )
    made = plan(
        subject, method="custom", per_module=True, lora_alpha=data.draw(st.floats(1e-9, 1e9)),
        parameters={"counts": counts, "ranks": ranks, "top_ks": top_ks},
    )  # fmt: skip
    for form in TABLES:
        assert given(import_plan(export_plan(made, form).files, form)) == given(made)


@drawn(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=40))
def test_flags_of_any_counts(rows):
    counts = [count for count, _, _ in rows]
    made = import_plan(
        ",".join(map(str, counts)), "list", rank=rows[0][1], top_k=rows[0][2], lora_alpha=7
    )
    for form in ("mola", "mola_eval"):
        back = import_plan(export_plan(made, form).files, form)
        assert back.counts == tuple(counts)
        assert [layer.top_k for layer in back.layers] == [min(rows[0][2], n) for n in counts]
    assert {module.rank for layer in import_plan(export_plan(made, "mola").files).layers
            for module in layer.modules} == {rows[0][1]}  # fmt: skip
