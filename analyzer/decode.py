"""From the bytes of a unit to its weight."""

import torch

from analyzer.buffer import Buffer
from analyzer.eigenvalues import cut
from analyzer.outline import Matrix
from analyzer.source import Source
from analyzer.stream import Loaded, Stream
from analyzer.units import PLAIN, units_of

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
    if packing is None:
        return tensors[PLAIN]
    from analyzer.dequantize import dequantize

    return dequantize(packing, tensors)


def read_matrix(source: Source, matrix: Matrix) -> torch.Tensor:
    """One matrix (out × in) as the analysis solves it. Raises AnalyzerError."""
    stream = Stream(source, units_of(source, [matrix]), whole=(), buffer=Buffer(0))
    weights = [weight_of(loaded) for loaded in stream if isinstance(loaded, Loaded)]
    return cut(weights[0], matrix.view)
