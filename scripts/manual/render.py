"""Sphinx, where a warning is an error: `python -m scripts.manual.render SOURCE OUT`."""

import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from scripts.manual.origins import foreign


def render(source: Path, out: Path) -> bool:
    """Build the pages of `source`; whether none has a fault, all of which are printed.

    Faults are warnings of Sphinx, among them links to pages and headings that are not there, and
    whatever a browser would load from another origin. Links to other sites are not followed.
    """
    with tempfile.TemporaryDirectory() as doctrees:
        words = ["-b", "html", "-q", "-n", "-W", "--keep-going", "-E", "-d", doctrees]
        failed = build_main([*words, str(source), str(out)])
    loaded = foreign(out)
    for page, address in loaded:
        sys.stderr.write(f"{page}: a browser would load {address}\n")
    return not failed and not loaded


if __name__ == "__main__":
    sys.exit(not render(Path(sys.argv[1]), Path(sys.argv[2])))
