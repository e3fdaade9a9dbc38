"""From the bytes of a unit to its weight."""

from collections.abc import Mapping
from typing import cast

import torch

from analyzer.adapter import FORMAT
from analyzer.buffer import Buffer
from analyzer.dequantize import dequantize
from analyzer.difference import PLAIN_FORMAT
from analyzer.eigenvalues import cut
from analyzer.outline import Matrix, Packing
from analyzer.source import Source
from analyzer.stream import Loaded, Stream
from analyzer.units import BASE, PLAIN, units_of

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E8M0": torch.float8_e8m0fnu,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def weight_of(loaded: Loaded) -> torch.Tensor:
    """The stored weight of a unit, out × in before any view; unpacked where it is packed."""
    tensors = {
        role: torch.from_numpy(loaded.content.pop(role))
        .view(DTYPES[piece.dtype])
        .reshape(piece.shape)
        for role, piece in loaded.unit.pieces.items()
    }
    packing = loaded.unit.matrices[0].packing
    return tensors[PLAIN] if packing is None else _unpacked(packing, tensors)


def _unpacked(packing: Packing, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """What a packing stands for, less what its base stands for."""
    own = {role: tensor for role, tensor in tensors.items() if not role.startswith(BASE)}
    if packing.format == PLAIN_FORMAT:
        weight = own[PLAIN]
    elif packing.format == FORMAT:
        weight = _update(own["A"], own["B"], packing)
    else:
        weight = dequantize(packing, own)
    if packing.base is None:
        return weight
    theirs = {role.removeprefix(BASE): t for role, t in tensors.items() if role.startswith(BASE)}
    base = _unpacked(packing.base, theirs)
    wide = torch.float64 if weight.itemsize > 2 or base.itemsize > 2 else torch.float32
    return weight.to(wide) - base.to(wide)


def _update(a: torch.Tensor, b: torch.Tensor, packing: Packing) -> torch.Tensor:
    """An r × r matrix with the non-zero singular values of scale · B A, for A (r, in), B (out, r).

    With B = Q R and Aᵀ = P S these are the singular values of R Sᵀ.
    """
    r = torch.linalg.qr(b.double(), mode="r").R
    s = torch.linalg.qr(a.double().T, mode="r").R
    core: torch.Tensor = r @ s.T
    return core * cast(float, packing.parameters["scale"])


def read_matrix(source: Source, matrix: Matrix) -> torch.Tensor:
    """One matrix (out × in) as the analysis solves it. Raises AnalyzerError."""
    stream = Stream(source, units_of(source, [matrix]), whole=(), buffer=Buffer(0))
    weights = [weight_of(loaded) for loaded in stream if isinstance(loaded, Loaded)]
    return cut(weights[0], matrix.view)
