"""The passes of an analysis over a model: its own, and those that question a plan."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from analyzer.analyze import matrices_of
from analyzer.lookup import Lookup
from analyzer.options import Options
from analyzer.outline import Matrix, Outline
from analyzer.sampling import Halves, Sampling
from analyzer.selection import name_list, select
from analyzer.source import Source
from analyzer.store import SpectrumStore
from worker.requests import AnalysisWords, PlanWords


@dataclass(frozen=True, slots=True)
class Pass:
    """Matrices measured in one way."""

    options: Options
    matrices: tuple[Matrix, ...]
    halves: Halves | None = None

    @property
    def sampling(self) -> Sampling:
        """What of each weight is solved."""
        if self.halves is None:
            return self.options.sampling
        return Sampling(self.halves, self.options.rounded)

    def lookup(self, source: Source, store: SpectrumStore, hashes: Mapping[str, str]) -> Lookup:
        """What the store has of it."""
        return Lookup(source, self.options, store, hashes, self.sampling)


def passes_of(words: AnalysisWords, outline: Outline) -> list[Pass]:
    """What an analysis has to measure. Raises AnalyzerError."""
    options, questions = words.options(), words.questions()
    found = [Pass(options, tuple(matrices_of(outline, options)))]
    if "resampling" in questions.kinds and options.aspect != "subsample":
        adaptable = select(outline, scope="adaptable", stack=options.stack, modules=options.modules)
        found.append(Pass(options, tuple(adaptable), questions.halves))
    if "bf16" in questions.kinds:
        rounded = replace(options, rounded=True)
        found.append(Pass(rounded, tuple(matrices_of(outline, rounded))))
    return found


def content_key(outline_key: str, words: AnalysisWords) -> str:
    """What stands for the numbers of an analysis, however its words are spelt.

    Questions count where they measure something.
    """
    options = asdict(words.options())
    options["modules"] = name_list(words.modules)
    options["windows"] = words.options().windows.model_dump()
    content = json.dumps([outline_key, options, measured_for(words)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def plan_key(outline_key: str, words: PlanWords, model: str) -> str:
    """What stands for a plan as a document: the same key, the same document."""
    content = json.dumps([outline_key, words.model_dump(mode="json"), model], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def measured_for(words: AnalysisWords) -> list[str]:
    """What is measured besides, to question a plan with."""
    questions = words.questions()
    halves = [questions.halves.name] if "resampling" in questions.kinds else []
    return [*halves, *(["bfloat16"] if "bf16" in questions.kinds else [])]
