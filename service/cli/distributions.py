"""Whether tails are power laws at all, as a table."""

from collections import Counter
from collections.abc import Iterator

from rich.console import Console

from analyzer.distributions import ALTERNATIVES, LikelihoodRatio
from analyzer.report import Analysis
from service.cli.layout import or_dash, print_line, print_table


def show_distributions(console: Console, analysis: Analysis) -> None:
    """The likelihood ratios of every matrix, then how often each distribution is favoured."""
    asked = [matrix for matrix in analysis.matrices if matrix.likelihood_ratios]
    print_table(
        console,
        f"likelihood ratio of a power law over others, in the tail by {analysis.settings.estimator}"
        " (normalised; p-values hold for independent draws)",
        ["tensor", *(head for name in ALTERNATIVES for head in (name, "p"))],
        ((matrix.name, *_cells(matrix.likelihood_ratios or ())) for matrix in asked),
    )
    for name in ALTERNATIVES if asked else ():
        favours = Counter(
            found.favours
            for matrix in asked
            for found in matrix.likelihood_ratios or ()
            if found.alternative == name
        )
        print_line(
            console,
            f"against {name}: the power law is favoured in {favours['power_law']} of {len(asked)}, "
            f"the other in {favours['alternative']}, neither in {favours['neither']}",
        )


def _cells(ratios: tuple[LikelihoodRatio, ...]) -> Iterator[str]:
    for found in ratios:
        yield or_dash(found.ratio, "+.2f")
        yield or_dash(found.p_value, ".1e")
