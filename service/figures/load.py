"""What routers did: how the experts of every module shared the picks."""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

from service.figures.errors import NothingToDraw
from service.figures.figure import Axis, Figure, Heat, Panel, Series
from service.figures.training import Lines


def load(
    lines: Lines, *, step: int | None = None, module: str | None = None, title: str = "training"
) -> Figure:
    """Modules × experts: each expert's share of the picks over the share of 1/E, where all are
    alike; beside it the entropy of the router over its most, ln E.

    Of the last line, or of a `step`; with a `module` (such as q_proj) of those modules alone.
    Raises NothingToDraw where no router was there.
    """
    line = _line(lines, step)
    mixtures: Mapping[str, Any] = {
        name: found
        for name, found in (line.get("mixtures") or {}).items()
        if len(found["load_share"]) > 1 and (module is None or name.endswith(module))
    }
    if not mixtures:
        what = "no module with a router" if module is None else f"no router of a module {module}"
        raise NothingToDraw(f"step {line['step']} of the training tells of {what}")
    names = tuple(mixtures)
    cells = [
        (float(expert), float(row), share * len(found["load_share"]))
        for row, found in enumerate(mixtures.values())
        for expert, share in enumerate(found["load_share"])
    ]
    experts = max(len(found["load_share"]) for found in mixtures.values())
    rows = Axis(name="module", scale="category", categories=_short(names), reverse=True)
    heat = Series(
        name="load share / ideal share", kind="heat", x=tuple(x for x, *_ in cells),
        y=tuple(y for _, y, _ in cells), values=tuple(value for *_, value in cells),
    )  # fmt: skip
    return Figure(
        name="load",
        title=f"{title}: expert load",
        subtitle=f"at step {line['step']}; {len(names)} routers; ideal share 1/E",
        panels=(
            Panel(
                title="load share / ideal share",
                x=Axis(name="expert", scale="category", categories=tuple(map(str, range(experts)))),
                y=rows,
                series=(heat,),
                heat=Heat(name="load share / ideal share", low=0.0, middle=1.0,
                          high=max(2.0, *(value for *_, value in cells))),
            ),
            _entropies(mixtures, rows),
        ),
        columns=2,
    )  # fmt: skip


def _short(names: Sequence[str]) -> tuple[str, ...]:
    """Without the leading parts that all of them share."""
    parts = [name.split(".") for name in names]
    shared = 0
    for level in zip(*(each[:-1] for each in parts), strict=False):
        if len(set(level)) > 1:
            break
        shared += 1
    return tuple(".".join(each[shared:]) for each in parts)


def _line(lines: Lines, step: int | None) -> Mapping[str, Any]:
    if not lines:
        raise NothingToDraw("the training has no metrics yet; ask again after its first steps")
    if step is None:
        return lines[-1]
    found = next((line for line in lines if line["step"] == step), None)
    if found is None:
        first, last = lines[0]["step"], lines[-1]["step"]
        raise NothingToDraw(
            f"there are no metrics of step {step}; there are from {first} to {last}"
        )
    return found


def _entropies(mixtures: Mapping[str, Any], rows: Axis) -> Panel:
    values = tuple(found["entropy"] / log(len(found["load_share"])) for found in mixtures.values())
    marks = Series(
        name="entropy / ln E", kind="points", x=values, y=tuple(map(float, range(len(values)))),
        labels=tuple(mixtures), colour=0,
    )  # fmt: skip
    even = Series(name="all alike", kind="rule", x=(1.0,), colour="muted", dashed=True)
    return Panel(
        title="router entropy", x=Axis(name="entropy", unit="of ln E"), y=rows,
        series=(even, marks),
    )  # fmt: skip
