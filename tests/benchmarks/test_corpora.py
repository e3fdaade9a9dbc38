"""Corpora: whole sources on one side, no text twice, the same at every call."""

import gzip
import json
import shutil
from collections import Counter

import pytest

from benchmarks.corpora import files
from benchmarks.corpora.entries import (
    Entry,
    NoCorpus,
    distinct,
    first_of_sources,
    largest_labels,
    split,
)
from benchmarks.corpora.files import labelled, prose
from benchmarks.corpora.manuals import manuals
from benchmarks.corpora.packages import SECTIONS, package_lists, packages
from benchmarks.corpora.prose import docstrings

LIST = """\
Package: libfoo1
Source: foo (1.2-3)
Version: 1.2-3+b1
Description: library to foo
Description-md5: 0123
Tag: role::shared-lib,
 works-with::text
Section: libs

Package: bar
Description: Bars
 that go on
Section: contrib/utils

Package: no-section
Description: lost
"""


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_package_list_is_read():
    assert list(packages(LIST)) == [
        Entry("foo", "library to foo", "libs", "libfoo1"),
        Entry("bar", "Bars", "utils", "bar"),
    ]


def test_a_text_is_there_once_however_it_is_written():
    found = distinct([Entry("b", "The  Text"), Entry("a", "the text"), Entry("c", "another")])
    assert found == [Entry("a", "the text"), Entry("c", "another")]


def test_a_source_gives_one_text_for_each_label():
    entries = [
        Entry("a", "x", "1"),
        Entry("a", "y", "1"),
        Entry("a", "z", "2"),
        Entry("b", "w", "1"),
    ]
    assert len(first_of_sources(entries)) == 3


def test_sources_stay_whole_and_labels_keep_their_share():
    entries = [Entry(f"source {n // 3}", f"text {n}", f"label {n % 4}") for n in range(3000)]
    chosen = largest_labels(entries, 400)
    assert set(Counter(entry.label for entry in chosen).values()) == {400}
    train, held = split(chosen, 0.3)
    assert not {entry.source for entry in train} & {entry.source for entry in held}
    assert sorted(train + held) == sorted(chosen)
    assert 0.25 < len(held) / len(chosen) < 0.35
    shares = Counter(entry.label for entry in held)
    assert max(shares.values()) < 1.3 * min(shares.values()), "who is chosen is not who is held"


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="packages are those of Debian")
def test_descriptions_of_packages_with_their_section(tmp_path):
    corpus = labelled(tmp_path / "one")
    train, held = rows_of(corpus.train), rows_of(corpus.held_out)
    assert len(train) + len(held) >= 2000
    assert {row["label"] for row in train} == {row["label"] for row in held} == set(SECTIONS)
    source = {entry.name: entry.source for entry in packages(package_lists())}
    names = [row["text"].partition(":")[0] for row in train + held]
    assert len(set(names)) == len(names)
    assert not {source[name] for name in names[: len(train)]} & {
        source[name] for name in names[len(train) :]
    }
    texts = [row["text"].partition(": ")[2].casefold() for row in train + held]
    assert len(set(texts)) == len(texts)
    again = labelled(tmp_path / "two")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in corpus]
    inside = labelled(tmp_path / "inside", inside=True)
    chosen = rows_of(inside.train) + rows_of(inside.held_out)
    assert sorted(map(str, chosen)) == sorted(map(str, train)), "settings see no held-out row"


def test_running_text_of_pythons_library(tmp_path):
    corpus = prose(tmp_path)
    train, held = rows_of(corpus.train), rows_of(corpus.held_out)
    assert min(len(train), 20 * len(held)) > 1000
    texts = [row["text"] for row in train + held]
    assert len(set(texts)) == len(texts)
    assert json.loads.__doc__.split("\n")[0] in " ".join(texts)


def test_docstrings_are_those_that_python_sees(tmp_path):
    (tmp_path / "inner").mkdir()
    text = "what it does " * 10
    (tmp_path / "inner" / "one.py").write_text(f'def f():\n    """{text}"""\n    """not this"""\n')
    (tmp_path / "bad.py").write_text("def (\n")
    assert list(docstrings(tmp_path)) == [Entry("inner/one.py", text.strip())]


def test_manual_pages_are_read(tmp_path):
    for section in ("man1", "man3"):
        (tmp_path / section).mkdir()
    page = ".TH LS 1\n.SH NAME\nls\\-all \\- list \\fBdirectory\\fR contents\n.SH SYNOPSIS\n.B ls\n"
    (tmp_path / "man1" / "ls-all.1.gz").write_bytes(gzip.compress(page.encode()))
    (tmp_path / "man3" / "tm.3").write_text(".Sh NAME\n.Nm tm\n.Nd tells the time of day\n.Sh X\n")
    (tmp_path / "man3" / "gone.3").symlink_to(tmp_path / "nowhere")
    assert list(manuals((tmp_path,))) == [
        Entry("ls", "list directory contents", "section 1", "ls-all"),
        Entry("tm", "tells the time of day", "section 3", "tm"),
    ]


def test_a_system_without_texts_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(files, "manuals", lambda: manuals((tmp_path,)))
    with pytest.raises(NoCorpus, match=r"no apt-cache.*no manual pages below"):
        labelled(tmp_path / "corpus")
