"""Tables that people edit: what a spreadsheet does to them, and what must not run in one."""

import csv
import io

import pytest

from allocator.errors import PlanMismatch, UnreadablePlan
from allocator.exports import export_plan
from allocator.imports import import_plan
from allocator.planner import plan
from allocator.subject import Layer, Subject, Target
from tests.allocator.forms.plans import given, outline_of, varied

EVIL = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "a;=1+1", 'b",=1', "\n=1"]


def named(names):
    layer = Layer("text", 0, tuple(Target(name) for name in names))
    return plan(Subject((layer,), "none"), method="custom", counts=[2])


def test_no_cell_of_a_name_is_a_formula():
    (text,) = export_plan(named(EVIL), "csv").files.values()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(EVIL)
    for row in rows:
        assert not row["module"].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    # Where semicolons part cells, as in many countries, a name must not become two cells.
    assert '"a;=1+1"' in text
    assert set(given(import_plan(text, "csv"))) == {("text", 0, name) for name in EVIL}


def test_markdown_shows_names_as_they_are():
    odd = ["a|b", "<script>", "[x](javascript:y)", "`c`", "*d*", "\\", "a\\|b", "e\nf", " g "]
    (text,) = export_plan(named(odd), "markdown").files.values()
    assert len(text.splitlines()) == 2 + len(odd)
    assert all(mark not in text for mark in (" <script>", " [x](", " `c`", " *d*"))
    report = f"# A report\n\nSome words.\n\n{text}\nMore words.\n\n| another | table |\n"
    assert set(given(import_plan(report, "markdown"))) == {("text", 0, name) for name in odd}


def test_what_spreadsheets_do_to_a_table():
    made = varied("llama")
    (text,) = export_plan(made, "csv").files.values()
    assert given(import_plan(("\ufeff" + text).encode("utf-8"), "csv")) == given(made)
    semicolons = text.replace(",", ";").replace("\n", "\r\n").replace('"', "")
    assert given(import_plan({"plan.csv": semicolons})) == given(made)


def test_the_shortest_table():
    made = import_plan("layer,experts\n0,1\n1,3\n", "csv", top_k=1, rank=4, lora_alpha=8)
    assert made.counts == (1, 3)
    assert made.warnings == ()
    assert made.parameters["rank"] == 4
    assert import_plan("|layer|experts|\n|-|-|\n|0|1|\n|1|3|\n", "markdown").counts == (1, 3)


def test_a_plan_without_modules():
    made = import_plan("4,1,7", rank=2)
    for form in ("csv", "markdown"):
        files = export_plan(made, form).files
        back = import_plan(files)
        assert back.counts == (4, 1, 7)
        assert back.parameters["rank"] == 2
        assert export_plan(back, form).files == files


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("layer,experts\n", "has no rows"),
        ("layer,count\n0,1\n", "no column experts"),
        ("layer,experts\n0,1,2\n", "more or fewer cells"),
        ("layer,experts\n0\n", "more or fewer cells"),
        ("layer,experts\n0,0\n", "at least 1"),
        ("layer,experts\n0,1.5\n", "not a list of whole numbers"),
        ("layer,experts\n0,1\n0,2\n", "two rows"),
        ("layer,module,experts\n0,q,1\n0,q,2\n", "two rows"),
        ("layer,module,experts\n0,q,1\n1,,2\n", "some layers name their modules"),
        ("layer,experts,lora_alpha\n0,1,8\n1,1,9\n", "several values of lora_alpha"),
        ("layer,experts,shape,module\n0,1,3x0,q\n", "is not out x in"),
        ('layer,experts\n"0,1\n', "not CSV"),
        ("layer,experts\n0,999999\n", "above 100000"),
    ],
)
def test_tables_that_no_plan_says(rows, message):
    with pytest.raises(UnreadablePlan, match=message):
        import_plan(rows, "csv")


def test_tables_of_another_model():
    (text,) = export_plan(varied("llama"), "csv").files.values()
    for family, message in (("phi3", "no module mlp.gate_proj"), ("t5", "no stack text")):
        with pytest.raises(PlanMismatch, match=message):
            import_plan(text, "csv", model=outline_of(family))
    with pytest.raises(PlanMismatch, match=r"is \(16, 32\) in the model but \(17, 32\)"):
        import_plan(text.replace("16x32", "17x32"), "csv", model=outline_of("llama"))
    with pytest.raises(PlanMismatch, match="no layer 2 in text"):
        import_plan("layer,experts\n0,1\n2,1\n", "csv", model=outline_of("llama"))
    partial = import_plan("layer,experts\n1,4\n", "csv", model=outline_of("llama"))
    assert any("leaves out layers 0 of text" in warning for warning in partial.warnings)
