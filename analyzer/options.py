"""What to measure and how."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.aspect import Aspect, check_aspect
from analyzer.errors import InvalidOption
from analyzer.outline import Scope
from analyzer.report import Weighting, check_weighting
from analyzer.sampling import FARMS_WINDOWS, Sampling, Windows
from analyzer.spectrum import PRECISIONS, SOLVERS, Precision, Solver
from analyzer.tails import estimator_named

DEFAULT_MEMORY = 2_000_000_000
LEAST_MEMORY = 16_000_000
MOST_OF_A_FILE = 0.5
"""The share of a Hub file from which on it is read whole, so that it can be checked."""

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure and how; checked when made. Raises InvalidOption.

    `memory`: bytes that may be read ahead of the solver. `ranged`: of files on the Hub read only
    what is wanted, which cannot be checked (True), read them whole (False), or as it pays (None).
    `experts_per_layer`: how many experts of each block of a MoE base to read; None reads all.
    `windows`: what aspect `subsample` measures. `rounded`: weights are rounded to bfloat16 first.
    `compare_distributions`: fit other distributions to each tail as well.
    """

    estimator: str = "hill"
    aspect: Aspect = "none"
    weighting: Weighting = "equal"
    precision: str = "auto"
    solver: Solver = "gram"
    device: str = "auto"
    scope: Scope = "blocks"
    stack: str | None = None
    modules: str | Sequence[str] | None = None
    memory: int = DEFAULT_MEMORY
    ranged: bool | None = None
    experts_per_layer: int | None = None
    windows: Windows = FARMS_WINDOWS
    rounded: bool = False
    compare_distributions: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be before any byte is read."""
        rule = estimator_named(self.estimator)
        check_aspect(self.aspect, self.estimator)
        check_weighting(self.weighting)
        if self.precision not in ("auto", *PRECISIONS):
            raise InvalidOption(f"precision {self.precision} is unknown; use float32 or float64")
        if self.precision == "float32" and rule.precision == "float64":
            raise InvalidOption(
                f"estimator {self.estimator} jumps under float32 rounding and needs float64; "
                "drop --precision or use --precision float64"
            )
        if not isinstance(self.windows, Windows):
            raise InvalidOption(f"windows are {self.windows!r}; give tailora.Windows(rows=…)")
        self.windows.check()
        if self.aspect == "subsample" and self.compare_distributions:
            raise InvalidOption(
                "distributions are compared in the tails of whole matrices, since windows overlap; "
                "leave --aspect subsample out"
            )
        if self.aspect != "subsample" and self.windows != FARMS_WINDOWS:
            raise InvalidOption(
                "--sample-rows, --sample-ratio and --sample-starts are for --aspect subsample; "
                "add it, or leave them out"
            )
        if self.solver not in SOLVERS:
            raise InvalidOption(f"solver {self.solver} is unknown; use one of {', '.join(SOLVERS)}")
        if not _DEVICE.fullmatch(self.device):
            raise InvalidOption(f"device {self.device} is unknown; use auto, cpu, cuda or cuda:N")
        if self.experts_per_layer is not None and self.experts_per_layer < 1:
            raise InvalidOption("a sample of experts needs at least 1 a layer")
        if self.memory < LEAST_MEMORY:
            raise InvalidOption(
                f"memory of {self.memory} bytes is too little; give at least {LEAST_MEMORY}"
            )

    def reads_whole(self, share: float) -> bool:
        """Whether a Hub file is read whole and checked when this share of it is wanted."""
        return share >= MOST_OF_A_FILE if self.ranged is None else not self.ranged

    @property
    def sampling(self) -> Sampling:
        """What of each weight is solved."""
        return Sampling(self.windows if self.aspect == "subsample" else None, self.rounded)

    @property
    def solved_precision(self) -> Precision:
        """The precision of new spectra: what was asked for, else what the estimator needs."""
        if self.precision == "auto":
            return estimator_named(self.estimator).precision
        return "float64" if self.precision == "float64" else "float32"
