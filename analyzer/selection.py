"""Choose the matrices to read: by scope, stack and module."""

from collections.abc import Sequence

from analyzer.errors import InvalidOption, NothingToAnalyse, UnsupportedFormat
from analyzer.outline import AnyMatrix, Matrix, Outline, Scope, Stack
from analyzer.text import listed, shown

_ROLES = {
    "adaptable": {"adaptable"},
    "blocks": {"adaptable", "router", "expert"},
    "all": {"adaptable", "router", "expert", "outside"},
}


def name_list(names: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Names given as a list or as one string with commas; None where there are none.

    Raises InvalidOption for anything else.
    """
    if names is None:
        return None
    parts = names.split(",") if isinstance(names, str) else list(names)
    if not all(isinstance(part, str) for part in parts):
        raise InvalidOption(f"{names!r} is not a list of names such as q_proj,v_proj")
    return tuple(part.strip() for part in parts if part.strip()) or None


def choose_stacks(model: str, stacks: Sequence[Stack], stack: str | None) -> tuple[str, ...]:
    """Names of the stacks to use: those asked for (comma-separated, or `all`), else the text.

    A model without a text stack uses its only stack. Raises InvalidOption where a stack does not
    exist or the choice is open.
    """
    names = [found.name for found in stacks]
    if stack == "all":
        return tuple(names)
    asked = name_list(stack)
    if asked is not None:
        for name in asked:
            if name not in names:
                raise InvalidOption(
                    f"stack {shown(name)} is not in {shown(model)}; it has {listed(names)}"
                )
        return tuple(name for name in names if name in asked)
    text = [found.name for found in stacks if found.kind == "text"]
    if set(text) == {"encoder", "decoder"} or len(text) == 1:
        return tuple(text)
    if len(names) == 1:
        return tuple(names)
    raise InvalidOption(f"{shown(model)} has several stacks ({listed(names)}); choose with --stack")


def select(
    outline: Outline,
    *,
    scope: Scope = "blocks",
    stack: str | None = None,
    modules: str | Sequence[str] | None = None,
) -> list[Matrix]:
    """The matrices to read.

    `scope`: `adaptable` (the linear modules of blocks), `blocks` (routers and experts too), `all`
    (embeddings, heads and poolers too). `modules` keeps modules by their suffix or the last parts
    of it. Raises InvalidOption for an unknown stack or module, UnsupportedFormat where the weights
    cannot be dequantised, NothingToAnalyse where nothing is left.
    """
    check_readable(outline)
    if scope not in _ROLES:
        raise InvalidOption(f"scope {scope} is unknown; use one of {', '.join(_ROLES)}")
    everything = "all" if scope == "all" else None
    stacks = choose_stacks(outline.model, outline.stacks, stack or everything)
    inside = [
        matrix
        for matrix in outline.matrices
        if matrix.role in _ROLES[scope] and matrix.stack in stacks
    ]
    wanted = name_list(modules)
    if wanted:
        inside = keep_modules(inside, wanted)
    outside = [matrix for matrix in outline.matrices if matrix.stack is None and scope == "all"]
    chosen = [*inside, *outside]
    if not chosen:
        raise NothingToAnalyse(f"{shown(outline.model)} has no matrix in {listed(list(stacks))}")
    return chosen


def check_readable(outline: Outline) -> None:
    """Raise UnsupportedFormat where weights are quantised in a way that is not known."""
    if outline.unreadable is not None:
        raise UnsupportedFormat(
            f"{shown(outline.model)} has quantised weights that this version cannot dequantise: "
            f"{outline.unreadable}; use the model that it was quantised from"
        )


def keep_modules(matrices: Sequence[AnyMatrix], modules: Sequence[str]) -> list[AnyMatrix]:
    """The matrices of these modules, each named by its suffix or the last parts of it.

    Raises InvalidOption where a name fits no module.
    """
    found = {matrix.module for matrix in matrices if matrix.module is not None}
    kept: set[str] = set()
    for asked in modules:
        matching = {name for name in found if name == asked or name.endswith(f".{asked}")}
        if not matching:
            raise InvalidOption(
                f"module {asked} is not in this model; it has {listed(sorted(found), 40)}"
            )
        kept |= matching
    return [matrix for matrix in matrices if matrix.module in kept]
