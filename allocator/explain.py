"""Explain a plan in words."""

from collections.abc import Callable, Iterator

from allocator.errors import InvalidRequest
from allocator.explaining.advice import advice
from allocator.explaining.certainty import how_sure
from allocator.explaining.evidence import evidence
from allocator.explaining.reading import Reading
from allocator.explaining.reasons import why
from allocator.explaining.short import in_short
from allocator.explaining.unusual import unusual
from allocator.explaining.what import what_it_is
from allocator.explanation import Explanation, Section, Sentence, Topic
from allocator.plan import Plan

_SECTIONS: tuple[tuple[Topic, str, Callable[[Reading], Iterator[Sentence]]], ...] = (
    ("short", "In short", in_short),
    ("plan", "What this plan is", what_it_is),
    ("reasons", "Which layers get more, and why", why),
    ("certainty", "How sure the counts are", how_sure),
    ("evidence", "What the evidence is", evidence),
    ("unusual", "What is unusual here", unusual),
    ("next", "What to try", advice),
)


def explain_plan(plan: Plan) -> Explanation:
    """What a plan is, why its counts are what they are, how sure they are, and what to try.

    For a reader who fine-tunes models and has never met a power law. Every sentence is computed
    from the plan, or a fact with its source. Raises InvalidRequest for a plan without layers.
    """
    reading = Reading(plan)
    if not reading.slots:
        raise InvalidRequest("the plan has no layers to explain; make one with `tailora plan`")
    return Explanation(
        digest=plan.digest,
        model=plan.model,
        method=plan.method,
        sections=tuple(
            Section(topic=topic, title=title, sentences=tuple(write(reading)))
            for topic, title, write in _SECTIONS
        ),
    )
