"""Write the corpora: `python -m benchmarks.corpora FOLDER`."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from benchmarks.corpora.entries import NoCorpus
from benchmarks.corpora.files import described, labelled, prose


def main() -> None:
    parser = argparse.ArgumentParser(description="Write corpora of what the system ships with.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for make in (labelled, described, prose):
        try:
            corpus = make(folder / make.__name__)
        except NoCorpus as error:
            sys.exit(f"error: {error}")
        for path in corpus:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            labels = Counter(row["label"] for row in rows if "label" in row)
            print(path, f"{len(rows):,} rows", dict(sorted(labels.items())) or "")


if __name__ == "__main__":
    main()
