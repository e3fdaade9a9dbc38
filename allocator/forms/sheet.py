"""A plan as rows of cells: one row a module, or a layer where the plan names no modules."""

import re
from collections.abc import Mapping, Sequence

from allocator.errors import UnreadablePlan
from allocator.forms.draft import Draft, Place, Reading
from allocator.forms.table import Adapted, Block, Mixture, Shape, lora_alpha_of, number, table_of
from allocator.forms.texts import positive, whole_numbers
from allocator.plan import Plan, PlanLayer
from allocator.subject import BARE_STACK
from analyzer.text import shown

COLUMNS = (
    "stack", "layer", "module", "shape", "alpha", "share", "experts", "top_k", "rank", "lora_alpha",
)  # fmt: skip
TEXT = ("stack", "module")
"""Columns that hold names, which come from models and may be anything."""
_NEEDED = ("layer", "experts")
_SHAPE = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")
MOST_ROWS = 200_000


def rows_of(plan: Plan) -> list[dict[str, str]]:
    """The cells of a plan by column. alpha and share are those of the module, or its layer's."""
    lora_alpha = number(lora_alpha_of(plan))
    found = []
    for layer, block in zip(plan.layers, table_of(plan), strict=True):
        for position, adapted in enumerate(block.modules or (None,)):
            mixture = block.mixtures[position]
            found.append(
                {
                    "stack": block.stack,
                    "layer": str(block.layer),
                    "module": adapted.name if adapted else "",
                    "shape": f"{adapted.shape[0]}x{adapted.shape[1]}"
                    if adapted and adapted.shape
                    else "",
                    **_values(layer, position if adapted else None),
                    "experts": str(mixture.experts),
                    "top_k": str(mixture.top_k),
                    "rank": str(mixture.rank),
                    "lora_alpha": lora_alpha,
                }
            )
    return found


def _values(layer: PlanLayer, position: int | None) -> dict[str, str]:
    alpha, share = layer.alpha, layer.share
    if position is not None and layer.experts is None:
        alpha, share = layer.modules[position].alpha, layer.modules[position].share
    return {
        "alpha": "" if alpha is None else number(alpha),
        "share": "" if share is None else number(share),
    }


def draft_of(rows: Sequence[Mapping[str, str]], reading: Reading) -> Draft:
    """A draft from cells by column; alpha and share are for reading and are not taken over.

    top_k, rank and lora_alpha may be left out as whole columns. Raises UnreadablePlan.
    """
    if not rows:
        raise UnreadablePlan("the table has no rows; is it another form?")
    missing = [name for name in _NEEDED if name not in rows[0]]
    if missing:
        raise UnreadablePlan(
            f"the table has no column {', '.join(missing)}; its columns are {', '.join(COLUMNS)}"
        )
    counts = [_number(row, "experts") for row in rows]
    mixtures = reading.mixtures(counts, _column(rows, "top_k"), _column(rows, "rank"))
    alphas = {cell for row in rows if (cell := row.get("lora_alpha", ""))}
    if len(alphas) > 1:
        raise UnreadablePlan("the table has several values of lora_alpha; a plan has one")
    said = positive(alphas.pop(), "lora_alpha") if alphas else None
    return Draft(tuple(_blocks(rows, mixtures)), reading.alpha(said))


def _blocks(rows: Sequence[Mapping[str, str]], mixtures: Sequence[Mixture]) -> list[Block]:
    modules: dict[Place, dict[str, Adapted]] = {}
    own: dict[Place, Mixture] = {}
    for row, mixture in zip(rows, mixtures, strict=True):
        place = Place(row.get("stack") or BARE_STACK, _number(row, "layer"))
        name = row.get("module", "")
        listed = modules.setdefault(place, {})
        if place in own or name in listed or (listed and not name):
            raise UnreadablePlan(
                f"layer {place.layer} of {shown(place.stack)} has two rows for "
                f"{shown(name) or 'the layer'}; keep one"
            )
        if name:
            listed[name] = Adapted(name, mixture, _shape(row.get("shape", "")))
        else:
            own[place] = mixture
    return [
        Block(*place, tuple(found.values()), own.get(place)) for place, found in modules.items()
    ]


def _column(rows: Sequence[Mapping[str, str]], name: str) -> list[int] | None:
    """The numbers of a column; None where it is not there, or empty throughout."""
    if not any(row.get(name) for row in rows):
        return None
    return [_number(row, name) for row in rows]


def _number(row: Mapping[str, str], name: str) -> int:
    found = whole_numbers(row.get(name, ""), name)
    if len(found) > 1:
        raise UnreadablePlan(f"a cell of {name} holds {len(found)} numbers; put one in each")
    return found[0]


def _shape(cell: str) -> Shape | None:
    if not cell:
        return None
    found = _SHAPE.fullmatch(cell)
    if found is None or "0" in (rows := found.group(1), columns := found.group(2)):
        raise UnreadablePlan(f"the shape {shown(cell, 60)!r} is not out x in, such as 4096x1024")
    return int(rows), int(columns)
