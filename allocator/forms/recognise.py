"""Which form files obviously have; nothing is guessed."""

import re
from pathlib import PurePath

from allocator.errors import UnreadablePlan
from allocator.forms.guilomo import MARK
from allocator.forms.scores import MAGIC
from allocator.forms.texts import Files, as_object

_SUFFIXES = {".csv": "csv", ".md": "markdown"}
_LIST = re.compile(r"[\[(]?[0-9,\s]+[\])]?")


def form_of(files: Files) -> str:
    """The form of files by their names and keys.

    Raises UnreadablePlan where it is not obvious, or where the file is a plan already.
    """
    if len(files) > 1:
        found = {"guilomo"} if any(MARK.encode() in raw for raw in files.values()) else set()
    else:
        ((name, raw),) = files.items()
        found = _forms(name, raw)
    if len(found) == 1:
        return found.pop()
    raise UnreadablePlan("which form this is cannot be told from the file; say it with --from")


def _forms(name: str, raw: bytes) -> set[str]:
    suffix = PurePath(name).suffix.lower()
    if suffix in _SUFFIXES:
        return {_SUFFIXES[suffix]}
    if raw.startswith(MAGIC):
        return {"scores"}
    text = raw.decode("utf-8-sig", errors="replace")
    if text.lstrip().startswith("{"):
        return _of_object(text)
    if _LIST.fullmatch(text.strip()) is not None:
        return {"list"}
    found = set()
    if re.search(r"^--peft_type=", text, re.MULTILINE):
        found.add("adamole")
    if re.search(r"--number[_-]experts\b", text):
        found.add("mola")
    return found


def _of_object(text: str) -> set[str]:
    try:
        value = as_object(text.encode(errors="replace"))
    except UnreadablePlan:
        return set()
    if str(value.get("schema", "")).startswith("tailora.plan/"):
        raise UnreadablePlan("the file is a plan already; no import is needed")
    if isinstance(value.get("lora"), list):
        return {"moe_peft"}
    if "target_modules" in value:
        return {"peft"}
    return set()
