"""Read by Python at its start where tests.servers.faults put this folder first."""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

try:
    from tests.servers.faults import VARIABLE, install

    install(os.environ.get(VARIABLE, ""))
except Exception as error:  # which Python would report and go on, without the fault
    raise SystemExit(f"no faults: {error!r}") from error

others = [path for path in sys.path if Path(path).resolve() != Path(__file__).resolve().parent]
spec = PathFinder.find_spec("sitecustomize", others)
if spec is not None and spec.loader is not None:
    spec.loader.exec_module(module_from_spec(spec))
