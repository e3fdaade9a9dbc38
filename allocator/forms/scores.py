"""Scores of layers or modules: JSON lists, and arrays as AlphaPruning and FARMS publish them.

Such an array holds one value a matrix, block after block. Nothing in it says in which order the
matrices of a block are, and the two publishers have different ones, so the order is always named.
"""

import io
import math
from collections.abc import Sequence
from tokenize import TokenError

import numpy as np

from allocator.errors import InvalidRequest, UnreadablePlan
from allocator.forms.draft import Reading, Scores
from allocator.forms.texts import Files, as_json, names, only
from allocator.options import PlanOptions
from allocator.subject import BARE_STACK, Layer, Subject, Target

_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
ORDERS = {
    "alphapruning": (*_ATTENTION, "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"),
    "farms": (*_ATTENTION, "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
    "layer": (),
}
"""The modules of a block by the name of their order; `layer`: one value for the whole block."""
MAGIC = b"\x93NUMPY"
MAX_VALUES = 1_000_000
_NO_ARRAY = (
    ValueError, KeyError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError,
)  # fmt: skip
"""What numpy raises on headers that are none: it reads them as Python."""
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read(files: Files, reading: Reading) -> Scores:
    """The scores in a .npy file, or in a JSON list. Raises UnreadablePlan or InvalidRequest."""
    return scores_of(only(files, "scores"), reading.order, reading.modules)


def scores_of(raw: bytes, order: str | None, modules: Sequence[str] | None = None) -> Scores:
    """Scores by layer, in a named order, of all modules or of those that `modules` names.

    Raises UnreadablePlan for a file that holds no positive finite numbers in rows of that length,
    InvalidRequest for an order or a module that does not exist.
    """
    is_array = raw.startswith(MAGIC)
    if is_array and order is None:
        raise InvalidRequest(
            f"an array does not say what its values are; give --order {', '.join(ORDERS)}, "
            "or the names of a block's modules with commas"
        )
    values = _array(raw) if is_array else _list(raw)
    own = _order(order or "layer")
    width = max(len(own), 1)
    if not values:
        raise UnreadablePlan("the list of scores is empty; give one number for each layer")
    if len(values) % width:
        raise UnreadablePlan(
            f"{len(values)} scores are no whole number of layers of {width}; is --order right?"
        )
    for position, value in enumerate(values):
        if not 0 < value < math.inf:
            raise UnreadablePlan(
                f"score {position} is {value}; every score must be positive and finite"
            )
    rows = tuple(tuple(values[at : at + width]) for at in range(0, len(values), width))
    return _kept(Scores(rows, own), modules) if modules else Scores(rows, own)


def score_subject(scores: Scores, options: PlanOptions) -> Subject:
    """What a plan can be made for: one stack of layers, each with the mean of its values.

    Raises InvalidRequest where a plan per module, or of a stack, is asked from less.
    """
    if options.stack or (options.per_module and not scores.names):
        raise InvalidRequest(
            "these scores say nothing of stacks or modules; give the --order of an array of "
            "modules, or plan from a model for --stack and --per-module"
        )
    layers = (
        Layer(
            BARE_STACK,
            layer,
            tuple(
                Target(name, value=value)
                for name, value in zip(scores.names, row, strict=bool(scores.names))
            ),
            value=math.fsum(row) / len(row),
        )
        for layer, row in enumerate(scores.rows)
    )
    return Subject(layers=tuple(layers), values="score")


def _order(order: str) -> tuple[str, ...]:
    if order in ORDERS:
        return ORDERS[order]
    try:
        found = names(order, "--order")
    except UnreadablePlan as error:
        raise InvalidRequest(f"{error}; use {', '.join(ORDERS)}, or names with commas") from error
    if "." not in order and "," not in order and "_" not in order:
        raise InvalidRequest(
            f"order {order} is unknown; use {', '.join(ORDERS)}, or names with commas"
        )
    return tuple(found)


def _kept(scores: Scores, modules: Sequence[str]) -> Scores:
    kept = []
    for asked in modules:
        hits = [
            at
            for at, name in enumerate(scores.names)
            if name == asked or name.endswith(f".{asked}")
        ]
        if not hits:
            raise InvalidRequest(
                f"module {asked} is not among the scores; they have "
                f"{', '.join(scores.names) or 'one value a layer'}"
            )
        kept += hits
    wanted = sorted(set(kept))
    rows = tuple(tuple(row[at] for at in wanted) for row in scores.rows)
    return Scores(rows, tuple(scores.names[at] for at in wanted))


def _array(raw: bytes) -> list[float]:
    """The numbers of a .npy file, in C order; its claims are checked before it is loaded."""
    stream = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(stream)
        shape, _, dtype = _HEADERS[version](stream)
        if dtype.kind not in "fiu" or not 0 < math.prod(shape) <= MAX_VALUES:
            raise ValueError(f"it holds {dtype} of shape {shape}")
        if math.prod(shape) * dtype.itemsize != len(raw) - stream.tell():
            raise ValueError("it is cut, or holds more than it says")
        stream.seek(0)
        loaded = np.load(stream, allow_pickle=False)
        return [float(value) for value in np.asarray(loaded, dtype=np.float64).ravel()]
    except _NO_ARRAY as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise UnreadablePlan(f"the file is no array of numbers: {reason}") from error


def _list(raw: bytes) -> list[float]:
    values = as_json(raw)
    if not isinstance(values, list) or not all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    ):
        raise UnreadablePlan("the file must hold a JSON list of numbers, one for each layer")
    return [float(value) for value in values]
