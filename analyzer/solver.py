"""The part of an analysis that needs torch: read tensors ahead, and solve on one device."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import torch

from analyzer.eigenvalues import choose_device, cut, eigenvalues
from analyzer.outline import Matrix
from analyzer.source import Source
from analyzer.spectrum import Precision, Solver
from analyzer.store import StoredSpectrum


class MatrixSolver:
    """Solves matrices of one source on one device, and remembers what it took."""

    def __init__(
        self, source: Source, *, precision: Precision, solver: Solver, device: str
    ) -> None:
        """Choose the device. Raises InvalidOption where it is not there."""
        self._source = source
        self._precision = precision
        self._solver = solver
        self._device = choose_device(device)
        self.bytes_read = 0
        self.torch_version = torch.__version__
        self.threads = torch.get_num_threads()
        self.device_name = (
            torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"
        )

    def solve(self, matrices: Sequence[Matrix]) -> Iterator[tuple[Matrix, StoredSpectrum]]:
        """The spectrum of each matrix; parts of one tensor, side by side, share its reading."""
        groups = [list(group) for _, group in groupby(matrices, _read_unit)]
        for group, weight, digest in self._read_ahead(groups):
            self.bytes_read += weight.numel() * weight.element_size()
            for matrix in group:
                spectrum = eigenvalues(
                    cut(weight, matrix.view),
                    precision=self._precision,
                    solver=self._solver,
                    device=self._device,
                )
                yield matrix, StoredSpectrum(spectrum, digest)

    def _read_ahead(
        self, groups: Sequence[list[Matrix]]
    ) -> Iterator[tuple[list[Matrix], torch.Tensor, str]]:
        """Read each tensor while the one before it is solved; two are in memory at most."""
        with ThreadPoolExecutor(1, "reader") as reader:
            reading = [reader.submit(self._read, group[0]) for group in groups[:1]]
            for position, group in enumerate(groups):
                weight, digest = reading.pop().result()
                for following in groups[position + 1 : position + 2]:
                    reading.append(reader.submit(self._read, following[0]))
                yield group, weight, digest
                del weight

    def _read(self, matrix: Matrix) -> tuple[torch.Tensor, str]:
        """The stored tensor behind a matrix, and the sha256 of its bytes."""
        weight = self._source.read(matrix.file, matrix.tensor, matrix.view.expert)
        content = weight.contiguous().view(torch.uint8).numpy().data
        return weight, hashlib.sha256(content).hexdigest()


def _read_unit(matrix: Matrix) -> tuple[str, str, int | None]:
    return matrix.file, matrix.tensor, matrix.view.expert
