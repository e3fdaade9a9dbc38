"""The figures that there are, by what they are made from."""

from service.figures.errors import UnknownFigure

CATALOGUE: dict[str, dict[str, str]] = {
    "analysis": {
        "esd": "the spectral density of one matrix, with its fitted tail",
        "esds": "the same of all matrices of a layer",
        "alphas": "alpha by layer: every matrix, and the layers' means",
        "checkpoints": "alphas over several analyses of one model",
    },
    "plan": {
        "experts": "experts by layer, with the uniform allocation and MoLA's shapes",
        "plans": "the counts of two plans side by side",
        "stability": "the counts under other estimators",
        "budgets": "the counts at other budgets",
    },
    "training": {
        "training": "loss, learning rate and speed by step",
        "load": "load of every expert, and entropy of every router",
    },
    "comparison": {"comparison": "arms with their intervals, and differences"},
}
"""What each figure shows, by its name."""


def check_name(source: str, name: str) -> None:
    """Raise UnknownFigure unless there is such a figure of that kind of document."""
    if name not in CATALOGUE[source]:
        raise UnknownFigure(
            f"there is no figure {name[:100]} of {_an(source)}; use {', '.join(CATALOGUE[source])}"
        )


def source_of(name: str) -> str:
    """What a figure is made from. Raises UnknownFigure."""
    for source, names in CATALOGUE.items():
        if name in names:
            return source
    every = ", ".join(name for names in CATALOGUE.values() for name in names)
    raise UnknownFigure(f"there is no figure {name[:100]}; use {every}")


def _an(source: str) -> str:
    return f"an {source}" if source == "analysis" else f"a {source}"
