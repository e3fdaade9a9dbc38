"""Write .env for docker-compose.yml: .env.example, each empty name with a fresh random secret.

usage: make_env.py [FOLDER]      (the repository by default)

A .env that exists is never changed; what it lacks is named, and the exit code is then 1.
"""

import os
import re
import secrets
import sys
from pathlib import Path

EMPTY = re.compile(r"^([A-Z_]+)=$", re.MULTILINE)
"""A line of .env.example whose value has to be made."""


def filled(example: str) -> str:
    """The text with a secret of 192 bits behind each empty name."""
    return EMPTY.sub(lambda line: f"{line[1]}={secrets.token_hex(24)}", example)


def lacking(text: str, example: str) -> list[str]:
    """The names that the example wants a secret for and that have none in this .env."""
    return [
        name
        for name in EMPTY.findall(example)
        if not re.search(rf"^{name}=[ \t]*[^\s#]", text, re.MULTILINE)
    ]


def write_new(path: Path, text: str) -> None:
    """Write a file that only its owner can read. Raises FileExistsError, also for a link."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def main(folder: Path) -> int:
    """Write .env into the folder, or say what there is."""
    example = (folder / ".env.example").read_text()
    path = folder / ".env"
    names = ", ".join(EMPTY.findall(example))
    try:
        write_new(path, filled(example))
    except FileExistsError:
        missing = lacking(path.read_text(), example)
        if missing:
            sys.stderr.write(
                f"error: {path} exists and is left as it is, but has no {', '.join(missing)}; "
                "add a random value of letters and digits for each\n"
            )
            return 1
        sys.stdout.write(f"{path} exists and is left as it is; it has every secret\n")
        return 0
    sys.stdout.write(
        f"wrote {path} with fresh secrets ({names}), readable by you alone; keep a copy: "
        "the database opens with no other password\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).resolve().parent.parent))
