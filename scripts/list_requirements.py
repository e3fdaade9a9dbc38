"""Print what TaiLoRA needs with the given extras, one requirement a line, without its own code.

usage: list_requirements.py [EXTRA…]      (reads pyproject.toml beside it or in the folder above)
"""

import re
import sys
import tomllib
from pathlib import Path


def requirements(project: dict, extras: list[str]) -> list[str]:
    """The requirements of the project and of these extras; an extra may name others."""
    found = list(project["dependencies"])
    optional = project["optional-dependencies"]
    waiting, seen = list(extras), set()
    while waiting:
        extra = waiting.pop(0)
        if extra in seen:
            continue
        seen.add(extra)
        if extra not in optional:
            sys.exit(f"error: pyproject.toml has no extra {extra}, only {', '.join(optional)}")
        for line in optional[extra]:
            own = re.fullmatch(rf"{project['name']}\[([\w\s,-]+)\]", line)
            if own:
                waiting += [name.strip() for name in own[1].split(",")]
            else:
                found.append(line)
    return list(dict.fromkeys(found))


def main() -> None:
    """Read pyproject.toml and print."""
    here = Path(__file__).resolve().parent
    path = next(p for p in (here, here.parent) if (p / "pyproject.toml").exists())
    project = tomllib.loads((path / "pyproject.toml").read_text())["project"]
    sys.stdout.write("\n".join(requirements(project, sys.argv[1:])) + "\n")


if __name__ == "__main__":
    main()
