"""Models are of matrices that differ in content and in alpha."""

import pytest
import torch
from safetensors.torch import load_file

import tailora
from tests.servers.models import seconds_to_solve, write_matrices


def matrices(folder) -> dict[str, torch.Tensor]:
    files = [load_file(path) for path in sorted(folder.glob("*.safetensors"))]
    found = {name: weight for file in files for name, weight in file.items()}
    return {name: weight for name, weight in found.items() if weight.shape == (96, 96)}


def test_matrices_are_as_many_as_asked_for_and_differ(tmp_path):
    names = write_matrices(tmp_path / "a", 6, 96, layers=2)
    write_matrices(tmp_path / "b", 6, 96, layers=2, seed=1)
    first, second = matrices(tmp_path / "a"), matrices(tmp_path / "b")
    assert sorted(first) == sorted(second) == sorted(names)
    weights = [*first.values(), *second.values()]
    assert len({weight.view(torch.int16).numpy().tobytes() for weight in weights}) == 12
    assert {weight.dtype for weight in weights} == {torch.bfloat16}
    layers = [values.alpha for values in tailora.analyze(tmp_path / "a").layers]
    assert layers[0] - layers[1] > 0.1


@pytest.mark.parametrize(("count", "layers"), [(200, 50), (6, 2), (7, 7), (1, 1)])
def test_layers_are_filled(tmp_path, count, layers):
    names = write_matrices(tmp_path, count, 8)
    assert len(set(names)) == count
    assert len({name.split(".")[2] for name in names}) == layers
    with pytest.raises(AssertionError, match=r"do not fill|a layer"):
        write_matrices(tmp_path, count, 8, layers=count + 1)


def test_a_larger_matrix_takes_longer(tmp_path):
    for side in (64, 1024):
        write_matrices(tmp_path / str(side), 1, side)
    assert 0 < 10 * seconds_to_solve(tmp_path / "64") < seconds_to_solve(tmp_path / "1024")
