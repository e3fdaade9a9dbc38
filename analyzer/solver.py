"""The part of an analysis that needs torch: read tensors and solve matrices on one device."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from threading import Lock

import torch

from analyzer.eigenvalues import choose_device, cut, eigenvalues
from analyzer.outline import Matrix
from analyzer.source import Source
from analyzer.spectrum import Precision, Solver
from analyzer.store import StoredSpectrum

SMALL = 4_194_304
"""Elements up to which a matrix is too small to keep several threads busy (2048 × 2048)."""

Group = Sequence[Matrix]
Solved = list[tuple[Matrix, StoredSpectrum]]


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
        self._lock = Lock()
        self.bytes_read = 0
        self.torch_version = torch.__version__
        self.threads = torch.get_num_threads()
        self.device_name = (
            torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"
        )

    def solve(self, matrices: Sequence[Matrix]) -> Iterator[tuple[Matrix, StoredSpectrum]]:
        """The spectrum of each matrix, small ones first; parts of one tensor share its reading.

        On a CPU small matrices are solved side by side with one thread each, which keeps all
        cores busy and makes their digits the same at any number of threads.
        """
        groups = [list(group) for _, group in groupby(matrices, _read_unit)]
        on_cpu = self._device.type == "cpu"
        small = [group for group in groups if on_cpu and _elements(group) <= SMALL]
        large = [group for group in groups if not on_cpu or _elements(group) > SMALL]
        for solved in self._side_by_side(small):
            yield from solved
        yield from self._one_by_one(large)

    def _side_by_side(self, groups: Sequence[Group]) -> Iterator[Solved]:
        waiting: deque[Future[Solved]] = deque()
        with _single_threaded_workers(self.threads) as pool:
            for group in groups:
                waiting.append(pool.submit(self._read_and_solve, group))
                if len(waiting) > 2 * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _one_by_one(self, groups: Sequence[Group]) -> Iterator[tuple[Matrix, StoredSpectrum]]:
        """Read each tensor while the one before it is solved; two are in memory at most."""
        with ThreadPoolExecutor(1, "reader") as reader:
            reading = [reader.submit(self._read, group) for group in groups[:1]]
            for position, group in enumerate(groups):
                weight, digest = reading.pop().result()
                for following in groups[position + 1 : position + 2]:
                    reading.append(reader.submit(self._read, following))
                for matrix in group:
                    yield matrix, self._solved(weight, digest, matrix)
                del weight

    def _read_and_solve(self, group: Group) -> Solved:
        weight, digest = self._read(group)
        return [(matrix, self._solved(weight, digest, matrix)) for matrix in group]

    def _read(self, group: Group) -> tuple[torch.Tensor, str]:
        """The stored tensor behind a group, and the sha256 of its bytes."""
        first = group[0]
        weight = self._source.read(first.file, first.tensor, first.view.expert)
        content = weight.contiguous().view(torch.uint8).numpy().data
        with self._lock:
            self.bytes_read += content.nbytes
        return weight, hashlib.sha256(content).hexdigest()

    def _solved(self, weight: torch.Tensor, digest: str, matrix: Matrix) -> StoredSpectrum:
        spectrum = eigenvalues(
            cut(weight, matrix.view),
            precision=self._precision,
            solver=self._solver,
            device=self._device,
        )
        return StoredSpectrum(spectrum, digest)


@contextmanager
def _single_threaded_workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that each compute on one core; the process's own number of threads is put back."""
    pool = ThreadPoolExecutor(count, "solver", initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(count)


def _read_unit(matrix: Matrix) -> tuple[str, str, int | None]:
    return matrix.file, matrix.tensor, matrix.view.expert


def _elements(group: Group) -> int:
    return sum(matrix.shape[0] * matrix.shape[1] for matrix in group)
