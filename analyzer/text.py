"""Names from strangers, as a message can carry them."""

LONGEST = 200


def shown(name: object, longest: int = LONGEST) -> str:
    """A name on one line, without control characters, cut in the middle where it is too long."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(name)[: 4 * longest])
    if len(text) <= longest:
        return text
    return f"{text[: longest // 2]}…{text[-longest // 3 :]}"


def listed(names: list[str], most: int = 10) -> str:
    """Names with commas, the first of them where there are many."""
    rest = len(names) - most
    return ", ".join(map(shown, names[:most])) + (f" and {rest} more" if rest > 0 else "")
