"""What was measured on held-out samples. No torch."""

from pydantic import Field

from analyzer.outline import Record


class Evaluation(Record):
    """Means over held-out samples; null where not measured."""

    samples: int
    loss: float = Field(
        description="in nats: by predicted token, or by sample where classes are predicted"
    )
    tokens: int | None = Field(None, description="predicted ones; null where classes are predicted")
    perplexity: float | None = Field(None, description="exp of the loss by token")
    accuracy: float | None = Field(
        None, description="share of samples whose class, or whose choice by likelihood, is right"
    )
    accuracy_by_character: float | None = Field(
        None, description="the same, log-likelihoods divided by the choice's characters"
    )
    accuracy_by_token: float | None = Field(None, description="the same, divided by its tokens")
    macro_f1: float | None = Field(
        None, description="mean of F1 over classes that occur or are predicted"
    )
    questions: int | None = Field(None, description="scored by likelihood")
    questions_cut: int | None = Field(
        None, description="of which a prompt lost its beginning, or a choice its end, to fit"
    )
    exact_match: float | None = Field(
        None, description="share of greedy answers equal to the sample's, without outer blanks"
    )
    exact_match_samples: int | None = Field(None, description="answers generated")
    draws: int | None = Field(
        None, description="masks whose probabilities were averaged; null: no mask, one pass"
    )
