"""Numbers, places and lists as words, the same in every sentence about a plan."""

from collections.abc import Iterable, Sequence

from analyzer.text import shown

MOST_LISTED = 6


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 layer`, `3 layers`, `1,200 matrices`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def joined(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def shortened(words: Sequence[str], most: int = MOST_LISTED) -> str:
    """Like joined, with only the first of them where there are more than `most`."""
    rest = len(words) - most
    return joined([*words[:most], f"{rest} more"] if rest > 0 else words)


def place_name(stack: str, layer: int, module: str | None = None, *, stacks: int = 1) -> str:
    """`layer 3`, `layer 3 of encoder` where there are several stacks, `q_proj in layer 3`."""
    where = f"layer {layer}" + (f" of {shown(stack)}" if stacks > 1 else "")
    return where if module is None else f"{shown(module)} in {where}"


def runs(numbers: Iterable[int]) -> str:
    """`0-5, 8` for 0 1 2 3 4 5 8."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)


def setting(value: object) -> str:
    """The value of a setting: `–` for none, lists with commas, whole floats without a point."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{shown(name)} {setting(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return shown(",".join(map(str, value)))
    return shown(value)


def sentence(text: str) -> str:
    """The text with a capital at its start and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', ':')) else '.'}"


def quantity(value: float, digits: int = 3) -> str:
    """A number with so many decimals; with exponent where that would be long, or only zeros."""
    return f"{value:.{digits}f}" if 10**-digits <= abs(value) < 10**6 else f"{value:.3g}"


def percent(part: float) -> str:
    """`40 %` of 0.4; what is not quite none or all is not rounded to it."""
    if 0 < part < 0.005:
        return "less than 1 %"
    if 0.995 <= part < 1:
        return "more than 99 %"
    return f"{100 * part:.0f} %"


def spanned(low: str, high: str) -> str:
    """`2 to 5`, or `2` where both are the same."""
    return low if low == high else f"{low} to {high}"
