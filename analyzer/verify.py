"""A pass over files that only hashes: what lies in them is what their commit names."""

from collections.abc import Collection, Sequence

from analyzer.buffer import Buffer
from analyzer.lookup import files_of
from analyzer.outline import Matrix
from analyzer.source import Source
from analyzer.stream import Checked, Stream
from analyzer.units import units_of


def tensor_sums(
    source: Source, files: Collection[str], matrices: Sequence[Matrix], *, memory: int
) -> dict[str, str]:
    """The sha256 of what each matrix lying in `files` is made of, once the files are checked.

    The same as a spectrum's `tensor_sha256`. Raises CorruptFile where a file is not what its commit
    names, else AnalyzerError.
    """
    inside = [matrix for matrix in matrices if files_of(matrix) & set(files)]
    buffer = Buffer(memory)
    sums: dict[str, str] = {}
    try:
        for item in Stream(source, units_of(source, inside), whole=files, buffer=buffer):
            if not isinstance(item, Checked):
                sums |= dict.fromkeys((m.name for m in item.unit.matrices), item.sha256)
                item.give_back()
    finally:
        buffer.close()
    return sums
