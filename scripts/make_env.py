"""Write what docker-compose.yml needs: .env, and the files of secrets/, each with a fresh secret.

usage: make_env.py [FOLDER]      (the repository by default)

What exists is never changed: a file that others are made from must go with them, or the exit code
is 1 and the message says which to delete.
"""

import hashlib
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

NEW = ("postgres_password", "redis_password", "tailora_key_pepper")
"""Of 192 bits, letters and digits only: passwords become parts of addresses."""

EMPTY = ("hf_token",)
"""For the user to fill in."""

RIGHTS = "+@all -@admin -@dangerous +info"
"""What workers and dispatcher may do in Redis."""

MADE: dict[str, Callable[[Mapping[str, str]], str]] = {
    "tailora_database_url": lambda own: (
        f"postgresql+psycopg://tailora:{own['postgres_password']}@postgres:5432/tailora"
    ),
    "tailora_broker_url": lambda own: f"redis://tailora:{own['redis_password']}@redis:6379/0",
    "redis_acl": lambda own: (
        "user default off\n"
        f"user tailora on #{hashlib.sha256(own['redis_password'].encode()).hexdigest()} ~* &* "
        f"{RIGHTS}"
    ),
}
"""Made from the others."""


def write_new(path: Path, text: str, mode: int) -> bool:
    """Write a file unless something is there already, also a link; whether it was written."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
    return True


def write_secrets(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the files that were written, and of those that do not go with the others.

    The folder is its owner's alone. The files in it are not: a container, which sees them one by
    one, reads them as a user of its own.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    fresh = {name: (secrets.token_hex(24), 0o444) for name in NEW}
    fresh |= {name: ("", 0o644) for name in EMPTY}
    written = [name for name, what in fresh.items() if write_new(folder / name, *what)]
    own = {name: (folder / name).read_text().strip() for name in NEW}
    wrong = []
    for name, make in MADE.items():
        if write_new(folder / name, make(own) + "\n", 0o444):
            written.append(name)
        elif (folder / name).read_text().strip() != make(own):
            wrong.append(name)
    return written, wrong + [name for name, text in own.items() if not text.isalnum()]


def main(folder: Path) -> int:
    """Write what is missing, or say what there is."""
    example = (folder / ".env.example").read_text()
    new = write_new(folder / ".env", example, 0o600)
    written, wrong = write_secrets(folder / "secrets")
    if wrong:
        sys.stderr.write(
            f"error: {', '.join(wrong)} in {folder / 'secrets'} cannot be used or does not go with "
            "the others; delete what was made from an old password, and run this again\n"
        )
        return 1
    sys.stdout.write(
        f"{folder / '.env'} {'written' if new else 'is left as it is'}; in {folder / 'secrets'}: "
        f"{', '.join(written) or 'nothing'} written, the rest left as it is; keep a copy: the "
        "database opens with no other password\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).resolve().parent.parent))
