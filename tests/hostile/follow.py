"""A child that asks for each hostile name, and says what it opened and whom it called."""

import json
import sys
from pathlib import Path
from typing import Any

from analyzer.api import outline
from analyzer.errors import AnalyzerError
from service.cli.failures import exit_code
from tests.hostile import HOSTILE_IDS

OUTWARD = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname")
RUNNING = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")


def main() -> None:
    """Print one report for each name, in order."""
    own = tuple(map(str, (sys.prefix, sys.base_prefix, Path(__file__).parents[2], Path.cwd())))
    seen: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in OUTWARD + RUNNING:
            seen.append(f"{event} {arguments!r}")
        elif event == "open" and isinstance(arguments[0], str | bytes):
            path = Path(arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0])
            if not str(path.absolute()).startswith(own):
                seen.append(f"open {arguments[0]!r}")

    sys.addaudithook(hook)
    for name in HOSTILE_IDS:
        seen.clear()
        try:
            outline(name)
            report = {"code": 0, "message": ""}
        except AnalyzerError as error:
            report = {"code": exit_code(error), "message": str(error)}
        except Exception as error:
            report = {"code": 1, "message": repr(error)[:300]}
        print(json.dumps({**report, "seen": list(seen)}))


if __name__ == "__main__":
    main()
