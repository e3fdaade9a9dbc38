"""Debian's packages: a line of description each, their section as the class."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.corpora.entries import Entry, NoCorpus

SECTIONS = ("devel", "doc", "java", "libdevel", "libs", "perl", "python", "utils")
"""What a package is, whatever it is about: a library, its headers, its manual, a binding, a tool.
Sentence embeddings go by the topic, so they alone do not tell these apart.
"""

_FIELD = re.compile(r"^(Package|Source|Section|Description): *(.*)$", re.MULTILINE)


def package_lists() -> str:
    """The package lists of the system. Raises NoCorpus where it has none."""
    command = shutil.which("apt-cache")
    if command is None:
        raise NoCorpus("there is no apt-cache: the package lists are those of Debian or Ubuntu")
    done = subprocess.run([command, "dumpavail"], capture_output=True, check=False)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode or "\nDescription: " not in text:
        folder = Path("/var/lib/apt/lists")
        raise NoCorpus(f"apt-cache dumpavail tells of no packages ({folder}); run apt-get update")
    return text


def packages(text: str) -> Iterator[Entry]:
    """An entry for each package of such a list: description, section and name."""
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(_FIELD.findall(stanza))
        if {"Package", "Section", "Description"} <= fields.keys():
            source = fields.get("Source", fields["Package"]).partition(" ")[0]
            section = fields["Section"].rpartition("/")[2]
            yield Entry(source, fields["Description"].strip(), section, fields["Package"])
