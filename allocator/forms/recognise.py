"""Which form files obviously have; nothing is guessed."""

import re
from pathlib import PurePath

from allocator.errors import UnreadablePlan
from allocator.forms.guilomo import MARK
from allocator.forms.registry import FORMS
from allocator.forms.scores import MAGIC
from allocator.forms.texts import Files, as_object
from analyzer.text import shown

_SUFFIXES = {".csv": "csv", ".md": "markdown"}
_LIST = re.compile(r"[\[(]?[0-9,\s]+[\])]?")
_SIGNS = {
    "adamole": re.compile(r"^--peft_type=", re.MULTILINE),
    "mola": re.compile(r"--number[_-]experts\b"),
    "csv": re.compile(r"\A[^|\n]*\blayer\b[^|\n]*[,;\t][^|\n]*\bexperts\b"),
    "markdown": re.compile(r"^\s*\|[^\n]*\blayer\b[^\n]*\|[^\n]*\bexperts\b", re.MULTILINE),
}


def form_of(files: Files, *, scores: bool = False) -> str:
    """The form of files by their names and what is in them.

    `scores`: what was asked for is only for scores, so a list of numbers is one of them. Raises
    UnreadablePlan where it is not obvious, or where the file is no plan of another tool.
    """
    if len(files) > 1:
        found = {"guilomo"} if any(MARK.encode() in raw for raw in files.values()) else set()
    else:
        ((name, raw),) = files.items()
        found = {"scores"} if scores and raw.lstrip().startswith(b"[") else _forms(name, raw)
    if len(found) == 1:
        return found.pop()
    known = ", ".join(form.name for form in FORMS.values() if form.read)
    raise UnreadablePlan(
        f"which form this is cannot be told from the file; say it with --from: {known}"
    )


def _forms(name: str, raw: bytes) -> set[str]:
    suffix = PurePath(name).suffix.lower()
    if suffix in _SUFFIXES:
        return {_SUFFIXES[suffix]}
    if raw.startswith(MAGIC):
        return {"scores"}
    text = raw.decode("utf-8-sig", errors="replace").strip()
    if not text:
        raise UnreadablePlan("the file is empty; name one that holds a plan")
    if text.startswith("{"):
        return _of_object(text)
    if _LIST.fullmatch(text) is not None:
        return {"list"}
    return {form for form, sign in _SIGNS.items() if sign.search(text)}


def _of_object(text: str) -> set[str]:
    try:
        value = as_object(text.encode(errors="replace"))
    except UnreadablePlan:
        return set()
    schema = str(value.get("schema", ""))
    if schema.startswith("tailora.plan/"):
        raise UnreadablePlan("the file is a plan already; no import is needed")
    if schema.startswith("tailora."):
        raise UnreadablePlan(f"the file is a document of {shown(schema, 60)}, not a plan")
    if isinstance(value.get("lora"), list):
        return {"moe_peft"}
    if "target_modules" in value:
        return {"peft"}
    if value and all("." in key and type(each) is int for key, each in value.items()):
        return {"guilomo"}
    return set()
