"""Faults inside processes under test, which know nothing of them.

`fault_environment` makes the variables with which Python reads site/sitecustomize.py first, also
in each process that such a process starts. A fault waits until its module is imported: nothing is
imported for it.
"""

import importlib
import importlib.util
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

SITE = Path(__file__).parent / "site"
ROOT = Path(__file__).parents[2]
VARIABLE = "TEST_FAULTS"
SIGN = "fault fired: "
SOLVES = "solves: "
TOUCHED = "touched: "
CONNECTED = "connected: "

Change = Callable[[ModuleType], None]


def fault_environment(*specs: str) -> dict[str, str]:
    """Variables that bring faults such as `tests.servers.faults:poison:model.layers.0…weight`.

    A spec is a module, a function in it and what the function is called with.
    """
    for spec in specs:
        _function(spec)
    others = [path for path in [os.environ.get("PYTHONPATH")] if path]
    return {
        VARIABLE: "\n".join(specs),
        "PYTHONPATH": os.pathsep.join([str(SITE), str(ROOT), *others]),
    }


def install(specs: str) -> None:
    """What sitecustomize does with the variable."""
    for spec in specs.splitlines():
        function, arguments = _function(spec)
        function(*arguments)


def poison(name: str) -> None:
    """SIGKILL to the process that is about to solve the matrix of that name."""

    def strike(found: str) -> None:
        if found == name:
            fire(f"poison in {name}")
            os.kill(os.getpid(), signal.SIGKILL)

    _before_solving(strike)


def slow(seconds: str) -> None:
    """A pause before each matrix that is solved."""

    def strike(found: str) -> None:
        fire(f"{seconds} s before {found}")
        time.sleep(float(seconds))

    _before_solving(strike)


def clock(seconds: str) -> None:
    """A wall clock that is off by so much."""
    real, off = time.time, float(seconds)
    time.time = lambda: real() + off
    fire(f"the clock is off by {seconds} s")


def visibility(seconds: str) -> None:
    """Redis delivers a message again that was not acknowledged for so long."""

    def change(module: ModuleType) -> None:
        transport = module._transport

        @wraps(transport)
        def short(settings: Any) -> dict[str, Any]:
            fire(f"messages are seen again after {seconds} s")
            own = {"visibility_timeout": float(seconds), "unacked_restore_interval": 1}
            return {**transport(settings), **own}

        module._transport = short

    after_import("worker.app", change)


def watch(word: str) -> None:
    """No fault: one line for each file that is opened with that word in its path, and for each
    address that is connected to.
    """

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and word in str(arguments[0]):
            os.write(2, f"{TOUCHED}{arguments[0]!r}\n".encode())
        elif event == "socket.connect":
            os.write(2, f"{CONNECTED}{arguments[1]!r}\n".encode())

    sys.addaudithook(note)


def witness() -> None:
    """No fault: one line for each matrix that is about to be solved; `solves_in` reads them."""

    def note(found: str) -> None:
        os.write(2, f"{SOLVES}{found}, process {os.getpid()}\n".encode())

    _before_solving(note)


def solves_in(text: str) -> list[tuple[str, int]]:
    """Matrix and process of every solve that a witness saw."""
    found = re.findall(f"^{SOLVES}(.*), process (\\d+)$", text, re.MULTILINE)
    return [(name, int(pid)) for name, pid in found]


def ambiguous(rate: str, seed: str, *statements: str) -> None:
    """After a commit that succeeded, an OperationalError, at that rate.

    `statements`: only where such a one was executed since the last commit (see _says); each has
    draws of its own. Each process draws the same numbers. The connection is lost as well, except
    SQLite's.
    """
    draws = {words: random.Random(f"{seed} {words}") for words in (*statements, None)}
    begun: dict[int, str] = {}

    def change(module: ModuleType) -> None:
        commit, execute = module.DefaultDialect.do_commit, module.DefaultDialect.do_execute

        @wraps(execute)
        def do_execute(dialect: Any, cursor: Any, statement: str, *rest: Any, **more: Any) -> None:
            found = next((words for words in statements if _says(statement, words)), None)
            if found:
                begun[id(cursor.connection)] = found
            execute(dialect, cursor, statement, *rest, **more)

        @wraps(commit)
        def do_commit(dialect: Any, connection: Any) -> None:
            commit(dialect, connection)
            own = getattr(connection, "dbapi_connection", connection)
            after = begun.pop(id(own), None)
            if (after or not statements) and draws[after].random() < float(rate):
                fire(f"a commit without an answer{f' after {after}' if after else ''}")
                if dialect.name != "sqlite":
                    own.close()
                raise dialect.loaded_dbapi.OperationalError("the answer to COMMIT was lost")

        module.DefaultDialect.do_commit = do_commit
        module.DefaultDialect.do_execute = do_execute

    after_import("sqlalchemy.engine.default", change)


def freeze(statement: str, once: str) -> None:
    """SIGSTOP to the first process that is about to commit such a one; `once` is a new file."""

    def change(module: ModuleType) -> None:
        execute = module.DefaultDialect.do_execute
        commit = module.DefaultDialect.do_commit
        begun: set[int] = set()

        @wraps(execute)
        def do_execute(dialect: Any, cursor: Any, words: str, *rest: Any, **more: Any) -> None:
            execute(dialect, cursor, words, *rest, **more)
            if _says(words, statement):
                begun.add(id(cursor.connection))

        @wraps(commit)
        def do_commit(dialect: Any, connection: Any) -> None:
            own = id(getattr(connection, "dbapi_connection", connection))
            if own in begun and _first(Path(once)):
                fire(f"frozen before COMMIT after {statement}")
                os.kill(os.getpid(), signal.SIGSTOP)
            begun.discard(own)
            commit(dialect, connection)

        module.DefaultDialect.do_commit = do_commit
        module.DefaultDialect.do_execute = do_execute

    after_import("sqlalchemy.engine.default", change)


def _says(statement: str, words: str) -> bool:
    """Whether it begins with the first of these parts and holds the others; `+` divides them."""
    plain, (first, *others) = statement.replace('"', ""), words.split("+")
    return plain.startswith(first) and all(part in plain for part in others)


def _first(file: Path) -> bool:
    """Whether nobody made the file before."""
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def fire(what: str) -> None:
    """One line on stderr, whole whoever else writes there."""
    os.write(2, f"{SIGN}{what}, process {os.getpid()}\n".encode())


def after_import(name: str, change: Change) -> None:
    """Change a module as soon as it is imported, or at once where it is."""
    if name in sys.modules:
        change(sys.modules[name])
    else:
        finder = next((one for one in sys.meta_path if isinstance(one, _Finder)), None)
        if finder is None:
            sys.meta_path.insert(0, finder := _Finder())
        finder.changes.setdefault(name, []).append(change)


def _before_solving(strike: Callable[[str], None]) -> None:
    """Call it with the name of each matrix that a MatrixSolver does not find kept."""

    def change(module: ModuleType) -> None:
        batch = module.MatrixSolver.batch

        @wraps(batch)
        def struck(solver: Any, units: Any) -> Any:
            for name in _unkept(solver, units):
                strike(name)
            return batch(solver, units)

        module.MatrixSolver.batch = struck

    after_import("analyzer.solver", change)


def _unkept(solver: Any, units: Any) -> Iterator[str]:
    for loaded in units:
        for matrix in loaded.unit.matrices:
            if solver._kept(matrix, loaded.sha256) is None:
                yield matrix.name


def _function(spec: str) -> tuple[Callable[..., None], list[str]]:
    module, name, *arguments = spec.split(":")
    return getattr(importlib.import_module(module), name), arguments


class _Finder(MetaPathFinder):
    """Finds modules as Python does, and changes them when they have been executed."""

    def __init__(self) -> None:
        self.changes: dict[str, list[Change]] = {}

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname not in self.changes:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                for change in self.changes[fullname]:
                    change(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
