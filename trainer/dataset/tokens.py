"""Token ids of texts, and what a tokenizer puts around them."""

from typing import Any

from trainer.errors import InvalidData


def ids_of(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text alone, without what the tokenizer puts around it."""
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def end_of(tokenizer: Any) -> int:
    """The id of EOS. Raises InvalidData where the tokenizer has none."""
    if tokenizer.eos_token_id is None:
        raise InvalidData(
            "the tokenizer has no end-of-sequence token, so the model would never learn to stop; "
            "set eos_token in its tokenizer_config.json"
        )
    return int(tokenizer.eos_token_id)


def beginning_of(tokenizer: Any) -> list[int]:
    """What the tokenizer puts before a text: BOS, or nothing."""
    for text in ("a", "0", tokenizer.eos_token or ""):
        bare, whole = ids_of(tokenizer, text), list(tokenizer(text)["input_ids"])
        starts = [at for at in range(len(whole)) if whole[at : at + len(bare)] == bare]
        if bare and starts:
            return whole[: starts[0]]
    return []


def marks_of(tokenizer: Any) -> set[int]:
    """Ids that stand for no text: one of them ends a turn in most templates."""
    return {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
