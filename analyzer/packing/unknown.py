"""Names for packings that cannot be read, so that nothing packed is taken for a weight."""

import re

from analyzer.header import FLOATS, TensorInfo
from analyzer.packing.checkpoint import Checkpoint

METHODS = frozenset(
    {"fp8", "fbgemm_fp8", "modelopt", "bitsandbytes", "gptq", "awq", "mxfp4", "compressed-tensors"}
)
"""Values of quant_method whose tensors say themselves how they are packed."""

UNNAMED = "packed weights"
"""What is a part of a packing by its name, of which that says no more."""

_SIBLINGS = {
    "AQLM": ("codes", "codebooks"),
    "HQQ": ("W_q",),
    "EETQ": ("qweight", "weight_scales"),
    "SpQR": ("dense_weights",),
    "VPTQ": ("centroids.weight",),
    "QuIP#": ("Qidxs",),
    "HIGGS": ("weight", "tables2"),
    "quanto": ("weight._data",),
    "torchao": ("_weight_qdata",),
    "FP-Quant": ("qweight", "forward_hadamard_matrix"),
    "NVFP4 of modelopt": ("weight", "weight_scale_2"),
    "MLX": ("weight", "scales", "biases"),
    "sparse compressed-tensors": ("bitmask",),
}
_PACKED = re.compile(
    r"\.(qweight|qzeros|scales|g_idx|weight_packed|weight_scale\w*|SCB|weight\.(absmax|quant_\w+|"
    r"nested_\w+)|\w+_(blocks|scales|scale_inv))$"
)
_SMALL_INTEGERS = ("U8", "I8", "U16", "I16", "U32", "I32")
_BUFFERS = re.compile(r"(bias|mask|index|ids)$")


def declared(checkpoint: Checkpoint) -> str | None:
    """The packing that the config declares and that no tensor could tell; None where it is fine."""
    method = checkpoint.method
    if method is not None and method not in METHODS:
        return f"{method}, which config.json declares"
    sparsity = checkpoint.config.get("sparsity_config")
    form = sparsity.get("format") if isinstance(sparsity, dict) else None
    if form not in (None, "dense"):
        return f"compressed-tensors of the sparse format {str(form)[:40]!r}"
    return None


def name_of(checkpoint: Checkpoint, info: TensorInfo, in_block: bool) -> str | None:
    """What an unclaimed tensor is a part of, by its name or dtype; None where it is not packed.

    Buffers of whole numbers (masks, positions) are common in blocks and are no weights.
    """
    for form, siblings in _SIBLINGS.items():
        for sibling in siblings:
            module = info.name.removesuffix(f".{sibling}")
            if module != info.name and all(
                checkpoint.get(f"{module}.{other}") for other in siblings
            ):
                return form
    if info.dtype in FLOATS and info.name.endswith(".scales") and len(info.shape) == 1:
        return None  # AWQ scales activations too; a weight's own have two dimensions
    if _PACKED.search(info.name):
        return UNNAMED
    if info.dtype in FLOATS:
        return None
    matrix = in_block and len(info.shape) >= 2 and not _BUFFERS.search(info.name)
    packed = info.dtype.startswith(("F8", "F4", "F6")) or info.dtype in _SMALL_INTEGERS
    if (info.name.endswith(".weight") and info.shape) or (matrix and packed):
        return f"{info.dtype} weights"
    return None
