"""MoLA (https://arxiv.org/abs/2402.08562): experts by fixed shapes over the depth of the model.

A shape is a row of digits, each for an equal stretch of layers from bottom to top. Where the
layers do not divide evenly, a layer takes the mean of the digits over its own stretch, so that
turning a shape around turns the plan around at any number of layers.
"""

from collections.abc import Sequence
from fractions import Fraction

from allocator.errors import InvalidRequest

SHAPES = {
    "triangle": (8, 6, 4, 2),
    "inverted_triangle": (2, 4, 6, 8),
    "hourglass": (8, 2, 2, 8),
    "rectangle": (5, 5, 5, 5),
    "diamond": (2, 8, 8, 2),
}

MAX_DIGIT = 1000


def parse_shape(shape: str) -> tuple[int, ...]:
    """The digits of a named shape, of `2468`, or of `10,2,2,2`. Raises InvalidRequest."""
    name = shape.strip().lower().replace("-", "_")
    if name in SHAPES:
        return SHAPES[name]
    parts = name.split(",") if "," in name else list(name)
    if not parts or not all(part.strip().isdecimal() and part.isascii() for part in parts):
        raise InvalidRequest(
            f"shape {shape!r} is unknown; use {', '.join(SHAPES)}, digits such as 2468, "
            "or numbers such as 10,2,2,2"
        )
    digits = tuple(int(part) for part in parts)
    if not all(1 <= digit <= MAX_DIGIT for digit in digits):
        raise InvalidRequest(f"shape {shape!r} needs numbers from 1 to {MAX_DIGIT}")
    return digits


def shape_weights(digits: Sequence[int], layers: int) -> list[Fraction]:
    """The mean digit over each layer's stretch of the depth; sums to layers · mean digit."""
    return [
        sum(
            (
                digit * _overlap(layer, layers, part, len(digits))
                for part, digit in enumerate(digits)
            ),
            Fraction(0),
        )
        * layers
        for layer in range(layers)
    ]


def _overlap(layer: int, layers: int, part: int, parts: int) -> Fraction:
    """Length of depth (of 1 in all) that a layer shares with a part of the shape."""
    start = max(Fraction(layer, layers), Fraction(part, parts))
    end = min(Fraction(layer + 1, layers), Fraction(part + 1, parts))
    return max(end - start, Fraction(0))


def tie_order(digits: Sequence[int], layers: int) -> list[int]:
    """Layers in the order in which they are served in a tie, the same from either end.

    Larger digit first; then the layer nearer to larger digits (by linear interpolation between
    the middles of the parts), then the one farther from the middle of the model, then the lower.
    """
    weights = shape_weights(digits, layers)
    slopes = [_interpolated(digits, Fraction(2 * layer + 1, 2 * layers)) for layer in range(layers)]
    middle = Fraction(layers - 1, 2)
    return sorted(
        range(layers),
        key=lambda layer: (-weights[layer], -slopes[layer], -abs(layer - middle), layer),
    )


def _interpolated(digits: Sequence[int], depth: Fraction) -> Fraction:
    """The line through the two nearest digits, also beyond the middles of the outer parts."""
    if len(digits) == 1:
        return Fraction(digits[0])
    place = depth * len(digits) - Fraction(1, 2)
    left = min(max(int(place), 0), len(digits) - 2)
    return digits[left] + (place - left) * (digits[left + 1] - digits[left])
