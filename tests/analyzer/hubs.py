"""What the tests of the Hub reader have in common: short ways to run and to look."""

from allocator.planner import plan
from analyzer.analyze import analyze
from analyzer.options import Options

SHARDS = r"^/cdn/"
SMALL_REQUESTS = 16_000_000


def digest(analysis) -> str:
    return plan(analysis, budget=36).digest


def run(source, store, **options):
    return analyze(source, Options(scope="adaptable", **options), store=store)


def alphas(analysis) -> list[float]:
    return [matrix.fits["hill"].alpha for matrix in analysis.matrices]


def kept(store) -> list[str]:
    return [entry.key.matrix for entry in store.entries()]
