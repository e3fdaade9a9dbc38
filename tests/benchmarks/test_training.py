"""Two runs that take turns."""

import argparse
import threading

import pytest

from benchmarks.training import Turns, compare, memory

GIVEN = argparse.Namespace(shape="tiny", tokens=128, experts=5, steps=4)


def test_runs_step_in_turn():
    turns, order = Turns(["a", "b"]), []

    def steps(name):
        for _ in range(50):
            turns.wait_for(name)
            order.append(name)
            turns.pass_on()

    threads = [threading.Thread(target=steps, args=(name,)) for name in ("b", "a")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order == ["a", "b"] * 50


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_both_runs_make_their_steps_with_as_many_parameters(tmp_path):
    found = compare(tmp_path, GIVEN, "float32", "none")
    assert [len(found[kind]) for kind in ("lora", "ours")] == [4, 4]
    lora, ours = found["parameters"]
    assert lora == pytest.approx(ours, rel=0.02)
    assert memory(GIVEN, "ours", "float32", "none") > 0
