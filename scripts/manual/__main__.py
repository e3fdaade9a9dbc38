"""Build the site: `python -m scripts.manual [FOLDER]`; by default build/site."""

import sys
from pathlib import Path

from scripts.manual.build import ROOT, build

if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site"
    if not build(out):
        sys.exit("error: a warning above is a fault of a page; mend it and build again")
    sys.stdout.write(f"{out / 'index.html'}\n")
