"""Commands and options that the documentation names exist; it names no place of a machine."""

import re
import shlex
from urllib.parse import urlsplit

import pytest
import typer.main

from service.cli.main import app
from tests.documentation.lines import PAGES, ROOT, Typed, typed

TOP = typer.main.get_command(app)
TYPED = sorted(set(typed()))
HOSTS = {
    "arxiv.org", "download.pytorch.org", "github.com", "huggingface.co", "localhost", "127.0.0.1",
    "www.apache.org",
}  # fmt: skip
PRINTED = [
    *PAGES, *sorted((ROOT / "examples").rglob("*.*")), *sorted((ROOT / "docs").glob("*.ipynb")),
]  # fmt: skip


def resolved(text: str):
    """The command that a text names, its path, and the words behind it."""
    words = [word.strip("[],;:") for word in text.split()][1:]
    command, path = TOP, ["tailora"]
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in command.commands, f"there is no `{' '.join([*path, name])}`"
        command, path = command.commands[name], [*path, name]
    return command, path, words


@pytest.mark.parametrize("line", TYPED, ids=str)
def test_command_and_options_exist(line: Typed):
    first, *others = line.text.split(" | ")
    for other in others:  # tailora jobs list | show | watch
        resolved(f"{first.rpartition(' ')[0]} {other}")
    command, path, words = resolved(first)
    own = {word for each in command.params for word in (*each.opts, *each.secondary_opts)}
    own |= {"--help", "-h"}
    for word in words:
        option = re.match(r"--?[a-z][a-z-]*", word)
        assert not option or option[0] in own, f"`{' '.join(path)}` has no {word}"


@pytest.mark.parametrize("line", [line for line in TYPED if line.whole], ids=str)
def test_a_whole_line_is_parsed_by_the_command(line: Typed):
    command, path, _ = resolved(line.text)
    words = ["30" if word == "DAYS" else word for word in shlex.split(line.text)[len(path) :]]
    command.make_context(" ".join(path), words)  # a usage error is raised


def test_there_is_enough_to_look_at():
    assert len(TYPED) > 80
    assert sum(line.whole for line in TYPED) > 40


@pytest.mark.parametrize("page", PRINTED, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_paths_of_a_machine_and_no_mirror(page):
    text = page.read_text(encoding="utf-8")
    assert (
        re.findall(r"(?<![\w.…}/-])/(?:root|home|Users|tmp|work|opt|mnt|srv)\b[^\s`\"')]*", text)
        == []
    )
    assert "file://" not in text
    addresses = re.findall(r"https?://[^\s`\"'<>)\]]+", text)
    hosts = {urlsplit(address).hostname for address in addresses}
    assert {host for host in hosts if host and not host.endswith("example.org")} <= HOSTS
    assert not re.search(r"--(?:extra-)?index-url|--find-links|--trusted-host", text)


def test_links_of_the_repository_lead_somewhere():
    """Those of docs/ are checked when the site is built."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
        assert links
        assert [link for link in links if not (ROOT / link).exists()] == []
