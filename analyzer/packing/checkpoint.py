"""The tensors and the config of a checkpoint, as the formats look at them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analyzer.architecture import Architecture
from analyzer.errors import UnreadableFile
from analyzer.header import TensorInfo
from analyzer.outline import Location, Packing

MAX_SMALL_BYTES = 65_536
MAX_SCHEMES = 256
SCALES = ("_scale_inv", "_scale")
_FACT = re.compile(r"\.quant_state\.|\.weight_format$|\.weight_shape$")

Parameters = dict[str, int | float | str | bool | tuple[int, ...] | None]
Tensors = Mapping[str, tuple[str, TensorInfo]]


class CannotUnpack(Exception):
    """Tensors of a known format that do not fit together, or a variant that is not supported."""


@dataclass(frozen=True, slots=True)
class PackedWeight:
    """One weight and the stored tensors that it is packed in.

    `shape` is out × in (experts first where there are three dimensions), or as the plain weight
    would be stored where `as_stored` is set. `nbytes` counts all its tensors.
    """

    name: str
    main: str
    shape: tuple[int, ...]
    packing: Packing
    nbytes: int
    as_stored: bool = False


class Checkpoint:
    """All tensors by name, what the config says of their packing, and a way to read small ones."""

    def __init__(
        self,
        tensors: Tensors,
        architecture: Architecture,
        read_bytes: Callable[[str, int, int], bytes],
    ) -> None:
        """`read_bytes(file, start, end)` gives bytes of a file."""
        self.tensors = tensors
        self.config = architecture.quantisation_config
        self.method = architecture.quantisation_method
        self._read_bytes = read_bytes

    def get(self, name: str) -> TensorInfo | None:
        """The tensor of that name, if there is one."""
        found = self.tensors.get(name)
        return found[1] if found else None

    def need(self, name: str) -> TensorInfo:
        """The tensor of that name. Raises CannotUnpack where there is none."""
        if name not in self.tensors:
            raise CannotUnpack(f"{name} is missing")
        return self.tensors[name][1]

    def facts(self) -> dict[str, list[TensorInfo]]:
        """The small tensors by file whose bytes a format may ask for."""
        found: dict[str, list[TensorInfo]] = {}
        for name, (file, info) in self.tensors.items():
            if _FACT.search(name) and info.nbytes <= MAX_SMALL_BYTES:
                found.setdefault(file, []).append(info)
        return found

    def content(self, name: str) -> bytes:
        """The bytes of a small tensor. Raises UnreadableFile where it is not small."""
        file, info = self.tensors[name]
        if info.nbytes > MAX_SMALL_BYTES:
            raise UnreadableFile(
                f"{file}: {name} has {info.nbytes} bytes, above the limit of {MAX_SMALL_BYTES} "
                "for facts about a packed weight; fetch it again"
            )
        return self._read_bytes(file, info.start, info.end)

    def weight(
        self,
        name: str,
        shape: tuple[int, ...],
        form: str,
        roles: Mapping[str, str],
        parameters: Parameters,
        *,
        as_stored: bool = False,
    ) -> PackedWeight:
        """A packed weight, from the stored tensor of each role; the first role is the main one."""
        return PackedWeight(
            name=name,
            main=next(iter(roles.values())),
            shape=shape,
            packing=Packing(
                format=form,
                tensors={
                    role: Location(tensor=tensor, file=self.tensors[tensor][0])
                    for role, tensor in roles.items()
                },
                parameters=parameters,
            ),
            nbytes=sum(self.need(tensor).nbytes for tensor in roles.values()),
            as_stored=as_stored,
        )

    @cached_property
    def schemes(self) -> tuple[Mapping[str, Any], ...]:
        """What compressed-tensors' config says of the weights of each of its groups."""
        groups = self.config.get("config_groups")
        named = list(groups.values()) if isinstance(groups, dict) else []
        if len(named) > MAX_SCHEMES:
            raise CannotUnpack(f"config.json has {len(named)} config_groups")
        found = [group.get("weights") for group in named if isinstance(group, dict)]
        return tuple(weights for weights in found if isinstance(weights, dict))

    @cached_property
    def has_scales(self) -> bool:
        """Whether any tensor is named like the scale of a weight."""
        return any(name.endswith(SCALES) for name in self.tensors)


def check_dtype(info: TensorInfo, *dtypes: str) -> None:
    """Raises CannotUnpack unless a tensor has one of these dtypes."""
    if info.dtype not in dtypes:
        raise CannotUnpack(f"{info.name} is {info.dtype}, not {' or '.join(dtypes)}")


def check_shape(info: TensorInfo, *shapes: tuple[int, ...]) -> None:
    """Raises CannotUnpack unless a tensor has one of these shapes."""
    if info.shape not in shapes:
        expected = " or ".join(str(list(shape)) for shape in shapes)
        raise CannotUnpack(f"{info.name} is {list(info.shape)}, which does not fit {expected}")


def positive(value: object) -> int | None:
    """A positive whole number of a config; None for anything else."""
    return value if type(value) is int and 0 < value < 2**31 else None
