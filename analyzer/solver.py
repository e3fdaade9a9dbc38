"""The part of an analysis that needs torch: solve the matrices of a unit on one device."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from analyzer.decode import weight_of
from analyzer.eigenvalues import choose_device, cut, eigenvalues
from analyzer.outline import Matrix
from analyzer.spectrum import Precision, Solver, Spectrum
from analyzer.store import StoredSpectrum
from analyzer.stream import Loaded
from analyzer.units import Unit

SMALL = 4_194_304
"""Elements up to which a matrix is too small to keep several threads busy (2048 × 2048)."""

BYTES_PER_WORKER = 64_000_000
"""What solving one small matrix takes beside its stored bytes, at most."""

Kept = Callable[[Matrix, str], StoredSpectrum | None]
"""The spectrum of a matrix that is known already to come from bytes with that sha256."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A matrix with its spectrum: solved now, that of an equal tensor, or kept from before."""

    matrix: Matrix
    stored: StoredSpectrum
    by: Literal["solver", "twin", "store"]


class MatrixSolver:
    """Solves matrices on one device."""

    def __init__(
        self,
        *,
        precision: Precision,
        solver: Solver,
        device: str,
        memory: int,
        kept: Kept = lambda matrix, sha256: None,
    ) -> None:
        """Choose the device. Raises InvalidOption where it is not there.

        `memory` (bytes) bounds how many small matrices are solved side by side; what `kept`
        returns is not solved.
        """
        self._precision = precision
        self._solver = solver
        self._kept = kept
        self._device = choose_device(device)
        self.torch_version = torch.__version__
        self.threads = torch.get_num_threads()
        self.side_by_side = max(1, min(self.threads, memory // BYTES_PER_WORKER))
        self.device_name = (
            torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"
        )

    def is_small(self, loaded: Loaded) -> bool:
        """Whether a unit is one to solve side by side with others, by one thread each.

        That keeps all cores busy and makes digits the same at any number of threads.
        """
        return self._device.type == "cpu" and loaded.unit.elements <= SMALL

    def unit(self, loaded: Loaded) -> list[Solved]:
        """All matrices of a unit, whose bytes are given back."""
        found: list[Solved] = []
        weight: torch.Tensor | None = None
        try:
            for matrix in loaded.unit.matrices:
                kept = self._kept(matrix, loaded.sha256)
                if kept is None:
                    weight = weight_of(loaded) if weight is None else weight
                    spectrum = self._spectrum(cut(weight, matrix.view))
                    stored = StoredSpectrum(spectrum, loaded.sha256)
                    found.append(Solved(matrix, stored, "solver"))
                else:
                    found.append(Solved(matrix, kept, "store"))
        finally:
            loaded.give_back()
        return found

    def as_twin(self, unit: Unit, spectra: Sequence[StoredSpectrum]) -> list[Solved]:
        """All matrices of a unit with the spectra of one that has the same bytes."""
        pairs = zip(unit.matrices, spectra, strict=True)
        return [Solved(matrix, stored, "twin") for matrix, stored in pairs]

    @contextmanager
    def workers(self) -> Iterator[ThreadPoolExecutor]:
        """Threads that each compute on one core; the process's own number is put back."""
        pool = ThreadPoolExecutor(
            self.side_by_side, "solver", initializer=torch.set_num_threads, initargs=(1,)
        )
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self.threads)

    def _spectrum(self, matrix: torch.Tensor) -> Spectrum:
        return eigenvalues(
            matrix, precision=self._precision, solver=self._solver, device=self._device
        )
