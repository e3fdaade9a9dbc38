"""Every form that plans are exported to or imported from."""

from collections.abc import Callable
from dataclasses import dataclass

from allocator.errors import InvalidRequest
from allocator.forms import (
    adamole,
    csv_table,
    guilomo,
    lists,
    markdown,
    moe_peft,
    mola,
    peft,
    peft_read,
    scores,
)
from allocator.forms.draft import Draft, Reading, Scores
from allocator.forms.export import Export
from allocator.forms.nearest import Compromise
from allocator.forms.texts import Files
from allocator.plan import Plan


@dataclass(frozen=True, slots=True)
class Form:
    """A form of another tool: `write` where plans are exported to it, `read` where imported."""

    name: str
    summary: str
    write: Callable[[Plan, Compromise], Export] | None = None
    read: Callable[[Files, Reading], Draft | Scores] | None = None


FORMS = {
    form.name: form
    for form in (
        Form(
            "mola",
            "training flags of MoLA, AlphaLoRA and LayerIF",
            mola.write_training,
            mola.read,
        ),
        Form("mola_eval", "their evaluation flags", mola.write_evaluation, mola.read),
        Form("guilomo", "expert.json and rank.json of Gui-LoMo", guilomo.write, guilomo.read),
        Form("moe_peft", "a job file of MoE-PEFT", moe_peft.write, moe_peft.read),
        Form(
            "adamole",
            "arguments of AdaMoLE, with its threshold gates",
            adamole.write_threshold,
            adamole.read,
        ),
        Form("mole", "the same trainer with top-k gates", adamole.write_top_k, adamole.read),
        Form("peft", "a LoraConfig of PEFT", peft.write, peft_read.read),
        Form("csv", "a table for spreadsheets", csv_table.write, csv_table.read),
        Form("markdown", "a table for reports", markdown.write, markdown.read),
        Form("list", "a bare list of experts, one number a layer", read=lists.read),
        Form("scores", "an array or list of importance scores", read=scores.read),
    )
}


def writer(name: str) -> Callable[[Plan, Compromise], Export]:
    """What writes a form. Raises InvalidRequest."""
    form = FORMS.get(name)
    if form is None or form.write is None:
        known = ", ".join(each.name for each in FORMS.values() if each.write)
        raise InvalidRequest(f"target {name[:60]} is unknown; use one of {known}")
    return form.write


def reader(name: str) -> Callable[[Files, Reading], Draft | Scores]:
    """What reads a form. Raises InvalidRequest."""
    form = FORMS.get(name)
    if form is None or form.read is None:
        known = ", ".join(each.name for each in FORMS.values() if each.read)
        raise InvalidRequest(f"form {name[:60]} is unknown; use one of {known}")
    return form.read
