"""The part of an analysis that needs torch: solve the matrices of a unit on one device."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from analyzer.decode import weight_of
from analyzer.eigenvalues import batch_eigenvalues, choose_device, cut, window_eigenvalues
from analyzer.errors import NotEnoughMemory
from analyzer.outline import Matrix
from analyzer.sampling import UNSAMPLED, Sampling, content_of
from analyzer.spectrum import Precision, Solver, Spectrum
from analyzer.store import StoredSpectrum
from analyzer.stream import Loaded
from analyzer.units import Unit

SMALL = 4_194_304
"""Elements up to which a matrix is too small to keep several threads busy (2048 × 2048)."""

BATCH = 67_108_864
"""Elements of expert weights that a CUDA device solves as one batch, at most."""

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
        sampling: Sampling = UNSAMPLED,
        kept: Kept = lambda matrix, sha256: None,
    ) -> None:
        """Choose the device. Raises InvalidOption where it is not there.

        `memory` (bytes) bounds how many small matrices are solved side by side; what `kept`
        returns is not solved; `sampling` says what of each matrix is.
        """
        self._precision = precision
        self._solver = solver
        self._sampling = sampling
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

    def takes_together(self, units: Sequence[Loaded]) -> bool:
        """Whether units are experts of one 3-D tensor, few enough to be solved as one batch."""
        first, last = units[0].unit.matrices[0], units[-1].unit.matrices[0]
        most = SMALL if self._device.type == "cpu" else BATCH
        return (
            last.view.expert is not None
            and (first.file, first.tensor) == (last.file, last.tensor)
            and sum(loaded.unit.elements for loaded in units) <= most
        )

    def batch(self, units: Sequence[Loaded]) -> list[list[Solved]]:
        """All matrices of each unit, whose bytes are given back; equal shapes are solved at once.

        Raises NotEnoughMemory.
        """
        try:
            return self._batch(units)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not _is_out_of_memory(error):
                raise
            raise NotEnoughMemory(
                _too_large([m for loaded in units for m in loaded.unit.matrices])
            ) from error
        finally:
            for loaded in units:
                loaded.give_back()

    def _batch(self, units: Sequence[Loaded]) -> list[list[Solved]]:
        found: dict[str, Solved] = {}
        waiting: dict[tuple[int, ...], list[tuple[Matrix, str, torch.Tensor]]] = {}
        for loaded in units:
            weight: torch.Tensor | None = None
            for matrix in loaded.unit.matrices:
                kept = self._kept(matrix, loaded.sha256)
                if kept is None:
                    weight = weight_of(loaded) if weight is None else weight
                    part = cut(weight, matrix.view)
                    waiting.setdefault(matrix.shape, []).append((matrix, loaded.sha256, part))
                else:
                    found[matrix.name] = Solved(matrix, kept, "store")
        while waiting:
            _, group = waiting.popitem()
            matrices, digests, parts = zip(*group, strict=True)
            del group
            contents = [content_of(*pair) for pair in zip(matrices, digests, strict=True)]
            for matrix, digest, spectrum in zip(
                matrices, digests, self._spectra(contents, list(parts)), strict=True
            ):
                found[matrix.name] = Solved(matrix, StoredSpectrum(spectrum, digest), "solver")
        return [[found[matrix.name] for matrix in loaded.unit.matrices] for loaded in units]

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

    def _spectra(
        self, contents: Sequence[str], weights: Sequence[torch.Tensor]
    ) -> Iterable[Spectrum]:
        if self._sampling.rounded:
            weights = [weight.to(torch.bfloat16) for weight in weights]
        if self._sampling.places is None:
            return batch_eigenvalues(
                weights, precision=self._precision, solver=self._solver, device=self._device
            )
        return [
            window_eigenvalues(
                weight,
                self._sampling.places.places((weight.shape[0], weight.shape[1]), content),
                precision=self._precision,
                solver=self._solver,
                device=self._device,
            )
            for content, weight in zip(contents, weights, strict=True)
        ]


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "allocate" in str(error)


def _too_large(matrices: Sequence[Matrix]) -> str:
    largest = max(matrices, key=lambda matrix: matrix.shape[0] * matrix.shape[1])
    rows, columns = largest.shape
    return (
        f"{largest.name} ({rows} × {columns}) does not fit in memory; it needs about "
        f"{12 * rows * columns / 1e9:.1f} GB, so choose other modules or a larger machine"
    )
