"""A Hub in a process of its own: `python -m tests.hub FOLDER --name org/name --rate 50e6`."""

import argparse
import contextlib
import threading
from pathlib import Path

from tests.hub.server import HubDouble


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.hub", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="org/name", help="of the repository (%(default)s)")
    parser.add_argument("--rate", type=float, help="bytes a second over all connections")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    with HubDouble(options.rate, options.port) as hub, contextlib.suppress(KeyboardInterrupt):
        commit = hub.add(options.name, options.folder)
        print(hub.endpoint, commit, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
