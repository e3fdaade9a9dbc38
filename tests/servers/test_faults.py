"""Faults strike where they are meant to, in processes that know nothing of them."""

import re
import signal
import sys

import psutil
import pytest
from sqlalchemy import create_engine, text

from tests.servers.faults import SIGN, SITE, fault_environment, solves_in
from tests.servers.models import write_matrices
from tests.servers.processes import Process

ANALYZE = """
import sys, time
def work(folder):
    import tailora
    begin = time.monotonic()
    print("solved", len(tailora.analyze(folder).matrices), time.monotonic() - begin)
"""
CHILD = """
from importlib import import_module
import sys
from work import work
if __name__ == "__main__":
    child = import_module(sys.argv[1]).get_context("spawn").Process(target=work, args=sys.argv[2:])
    child.start()
    child.join()
    print("the child ended with", child.exitcode, "torch" in sys.modules, "analyzer" in sys.modules)
"""
INSERT = """
import sqlalchemy, sys
engine = sqlalchemy.create_engine(sys.argv[1])
with engine.connect() as connection:
    connection.exec_driver_sql("CREATE TABLE t (a int)")
    try:
        connection.commit()
    except sqlalchemy.exc.OperationalError:
        pass
for a in range(40):
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO t VALUES ({a})")
    except sqlalchemy.exc.OperationalError as error:
        print("refused", a, error.connection_invalidated)
engine.dispose()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return folder, write_matrices(folder, 3, 64)


def run(tmp_path, code: str, *arguments, faults=(), code_of=0, **environment) -> Process:
    (tmp_path / "work.py").write_text(ANALYZE)
    (tmp_path / "main.py").write_text(code)
    process = Process(
        sys.executable, tmp_path / "main.py", *arguments, log=tmp_path / "log",
        environment={**fault_environment(*faults), **environment},
    )  # fmt: skip
    with process:
        assert process.wait(60) == code_of, process.text()
    return process


def fired(process: Process) -> list[str]:
    return re.findall(f"^{SIGN}(.*), process", process.text(), re.MULTILINE)


PLAIN = f"{ANALYZE}\nwork(sys.argv[1])"


def test_poison_kills_who_is_about_to_solve(tmp_path, model):
    folder, names = model
    poison = f"tests.servers.faults:poison:{names[1]}"
    killed = run(tmp_path, PLAIN, folder, faults=[poison], code_of=-signal.SIGKILL)
    assert fired(killed) == [f"poison in {names[1]}"]
    assert "solved" not in killed.text()


def test_slow_pauses_before_each_solve_and_other_poison_does_nothing(tmp_path, model):
    folder, names = model
    faults = ["tests.servers.faults:slow:0.4", "tests.servers.faults:poison:other"]
    code = PLAIN.replace("import tailora", "import analyzer.solver, tailora")  # in no time to come
    process = run(tmp_path, code, folder, faults=faults, OMP_NUM_THREADS="1")
    assert sorted(fired(process)) == [f"0.4 s before {name}" for name in sorted(names)]
    assert float(re.search(r"solved 3 (\S+)", process.text())[1]) >= 1.2
    kept = run(tmp_path, PLAIN, folder, faults=[f"tests.servers.faults:poison:{names[1]}"])
    assert len(fired(kept)) == 3, "what is kept is not solved"


@pytest.mark.parametrize("library", ["multiprocessing", "billiard"])
def test_poison_in_a_spawned_child(tmp_path, model, library):
    folder, names = model
    poison = f"tests.servers.faults:poison:{names[2]}"
    process = run(tmp_path, CHILD, library, folder, faults=[poison])
    assert fired(process) == [f"poison in {names[2]}"]
    assert "the child ended with -9 False False" in process.text()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_ambiguous_commits_are_written(tmp_path, request, kind):
    sqlite = f"sqlite:///{tmp_path / 'database'}"
    url = sqlite if kind == "sqlite" else request.getfixturevalue("postgres_url")
    process = run(tmp_path, INSERT, url, faults=["tests.servers.faults:ambiguous:0.3:5"])
    refused = re.findall(r"^refused \d+ (\w+)", process.text(), re.MULTILINE)
    assert 5 < len(refused) < 20
    assert set(refused) == {str(kind == "postgres")}
    assert len(fired(process)) in (len(refused), len(refused) + 1)  # one more for the table
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*), count(DISTINCT a) FROM t")).one() == (
            40, 40,
        )  # fmt: skip
    engine.dispose()


def test_the_seed_chooses_the_commits_and_no_fault_is_no_error(tmp_path):
    def refused(name: str, *faults: str) -> list[str]:
        url = f"sqlite:///{tmp_path / name}"
        (tmp_path / "log").unlink(missing_ok=True)
        return re.findall(r"refused \d+", run(tmp_path, INSERT, url, faults=faults).text())

    first = refused("a", "tests.servers.faults:ambiguous:0.3:5")
    assert first == refused("b", "tests.servers.faults:ambiguous:0.3:5")
    assert first != refused("c", "tests.servers.faults:ambiguous:0.3:6")
    assert refused("d") == []


def test_another_sitecustomize_is_read_as_well(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.other = 'was read'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = run(tmp_path, "import sitecustomize; print(other, sitecustomize.__file__)")
    assert process.text().split("\n")[0] == f"was read {SITE / 'sitecustomize.py'}"


def test_a_fault_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(AttributeError, match="poisson"):
        fault_environment("tests.servers.faults:poisson:a")
    wrong = {"TEST_FAULTS": "tests.servers.faults:poisson:a"}
    process = run(tmp_path, "print('ran')", code_of=1, **wrong)
    assert "no faults: AttributeError" in process.text()
    assert "ran" not in process.text().splitlines()


def test_a_witness_sees_each_solve(tmp_path, model):
    folder, names = model
    process = run(tmp_path, PLAIN, folder, faults=["tests.servers.faults:witness"])
    assert sorted(solves_in(process.text())) == [(name, process.pid) for name in sorted(names)]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_only_chosen_commits_are_ambiguous(tmp_path, request, kind):
    sqlite = f"sqlite:///{tmp_path / 'database'}"
    url = sqlite if kind == "sqlite" else request.getfixturevalue("postgres_url")
    quoted = INSERT.replace("INTO t VALUES", r"INTO \"t\" VALUES")
    for statement, times in [("UPDATE t", 0), ("INSERT INTO t V", 40)]:
        fault = f"tests.servers.faults:ambiguous:1:5:{statement}"
        process = run(tmp_path, quoted, url, faults=[fault])
        assert len(fired(process)) == times
        (tmp_path / "log").unlink()
        quoted = quoted.replace("CREATE TABLE t", "CREATE TABLE other")


def test_a_process_freezes_before_its_commit(tmp_path):
    fault = f"tests.servers.faults:freeze:INSERT+VALUES (7):{tmp_path / 'once'}"
    (tmp_path / "main.py").write_text(INSERT)
    process = Process(
        *(sys.executable, tmp_path / "main.py", f"sqlite:///{tmp_path / 'database'}"),
        log=tmp_path / "log", environment=fault_environment(fault),
    )  # fmt: skip
    with process:
        process.wait_for(lambda: fired(process))
        process.wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        engine = create_engine(f"sqlite:///{tmp_path / 'database'}")
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 7
        engine.dispose()
        process.resume()
        assert process.wait() == 0
    assert len(fired(process)) == 1
