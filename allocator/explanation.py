"""The document of an explanation of a plan. `tailora.explanation/1`."""

from typing import Literal

from pydantic import Field

from analyzer.outline import Document, Record

Topic = Literal["short", "plan", "reasons", "certainty", "evidence", "unusual", "next"]


class Sentence(Record):
    """One statement: computed from the plan, or a fact with its source."""

    text: str
    command: str | None = Field(None, description="to type, where the text proposes one")


class Section(Record):
    """What there is to say about one topic."""

    topic: Topic
    title: str
    sentences: tuple[Sentence, ...]


class Explanation(Document):
    """A plan in words. `tailora.explanation/1`."""

    schema_id: Literal["tailora.explanation/1"] = Field("tailora.explanation/1", alias="schema")
    digest: str = Field(description="of the plan")
    model: str | None
    method: str
    sections: tuple[Section, ...]
