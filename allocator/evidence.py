"""What a plan is questioned with, beside the analysis that it is made from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from allocator.errors import InvalidRequest
from analyzer.analyze import analyze
from analyzer.options import Options
from analyzer.outline import Outline
from analyzer.progress import Report
from analyzer.report import Analysis
from analyzer.resample import Resampling, resample
from analyzer.sampling import Halves
from analyzer.selection import name_list
from analyzer.source import Source, open_source
from analyzer.store import FolderStore, SpectrumStore, default_folder

KINDS = ("estimators", "nominal", "resampling", "bf16")
NOMINAL_DRAWS = 1000
MOST_DRAWS = 100_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a plan is questioned with; checked when made. Raises InvalidRequest.

    `nominal_draws`: draws within the nominal standard errors (0: none), by `seed`. `resampling`:
    alphas of random halves. `rounded`: an analysis of the same weights rounded to bfloat16.
    """

    nominal_draws: int = 0
    seed: int = 0
    resampling: Resampling | None = None
    rounded: Analysis | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        draws = self.nominal_draws
        if type(draws) is not int or draws == 1 or not 0 <= draws <= MOST_DRAWS:
            raise InvalidRequest(f"{draws!r} draws; use 2 to {MOST_DRAWS}, for example 1000")
        if type(self.seed) is not int or self.seed < 0:
            raise InvalidRequest(f"the seed is {self.seed!r}; use a whole number of at least 0")
        if self.rounded is not None and not self.rounded.settings.rounded:
            raise InvalidRequest("the analysis for rounded weights must be made with rounded=True")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of it has to know."""
        rounded = self.rounded.warnings if self.rounded else ()
        return (*rounded, *(self.resampling.warnings if self.resampling else ()))


NOTHING = Evidence()


@dataclass(frozen=True, slots=True)
class Questions:
    """Which kinds of stability are asked for; checked when made.

    `kinds` are names of KINDS, a list or with commas, or `all`; `draws` random halves of every
    matrix; one `seed` for all draws. Raises InvalidRequest, or InvalidOption for the draws.
    """

    kinds: str | Sequence[str] = "estimators"
    draws: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        kinds = name_list(self.kinds)
        if kinds is None:
            raise InvalidRequest(f"stability names no kind; use {', '.join(KINDS)} or all")
        for name in ("draws", "seed"):
            if type(getattr(self, name)) is not int:
                raise InvalidRequest(f"{name} is {getattr(self, name)!r}; use a whole number")
        for kind in kinds:
            if kind not in (*KINDS, "all"):
                raise InvalidRequest(f"stability {kind} is unknown; use {', '.join(KINDS)} or all")
        object.__setattr__(self, "kinds", KINDS if "all" in kinds else kinds)
        self.halves.check()

    @property
    def halves(self) -> Halves:
        """What resampling draws."""
        return Halves(draws=self.draws, seed=self.seed)


def gather(
    source: Source,
    options: Options,
    questions: Questions,
    *,
    store: SpectrumStore,
    outline: Outline | None = None,
    progress: Report | None = None,
) -> Evidence:
    """Measure what these questions need; `options` are those of the plan's analysis.

    `resampling` and `bf16` read the weights again where the store does not hold their spectra.
    Windows that are pooled are not resampled, which the plan then says. Raises AnalyzerError.
    """
    resampling, rounded = None, None
    halves = questions.halves
    if "resampling" in questions.kinds and options.aspect == "subsample":
        resampling = Resampling(
            weights=(),
            estimator=options.estimator,
            rounded=options.rounded,
            halves=halves,
            matrices=(),
        )
    elif "resampling" in questions.kinds:
        resampling = resample(
            source, options, store=store, halves=halves, outline=outline, progress=progress
        )
    if "bf16" in questions.kinds:
        rounding = replace(options, rounded=True)
        rounded = analyze(source, rounding, store=store, outline=outline, progress=progress)
    draws = NOMINAL_DRAWS if "nominal" in questions.kinds else 0
    return Evidence(draws, questions.seed, resampling, rounded)


def evidence(
    model: str | Path,
    kinds: str | Sequence[str] = "all",
    *,
    draws: int = 200,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Report | None = None,
    **options: Any,
) -> Evidence:
    """What `plan(analysis, evidence=…)` questions a plan with.

    `options` are those of the analysis that the plan is made from. Raises AllocatorError or
    AnalyzerError.
    """
    store = FolderStore(Path(cache) if cache else default_folder())
    return gather(
        open_source(str(model), store),
        Options(**options),
        Questions(kinds, draws, seed),
        store=store,
        progress=progress,
    )
