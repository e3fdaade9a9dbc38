"""Which local models may be read: what lies below the allowed folders, wherever links lead."""

import os

import pytest

from analyzer.errors import ModelNotFound
from ledger.errors import PathNotAllowed
from ledger.roots import allowed, identity


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder.resolve()


@pytest.fixture
def outside(tmp_path):
    """A model next to the allowed folder."""
    return write(tmp_path / "models-of-others")


@pytest.fixture
def model(root):
    return write(root / "llama")


def write(folder):
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder.resolve()


def refused(path, roots, match):
    with pytest.raises(PathNotAllowed, match=match) as found:
        allowed(str(path), roots)
    assert "\n" not in str(found.value)


def test_models_below_a_root_are_allowed(root, model, tmp_path):
    other = tmp_path / "more"
    other.mkdir()
    for path in (model, f"{model}/", f"{root}/../models/./llama", model / "model.safetensors"):
        assert allowed(str(path), [other, root]) == (
            model / "model.safetensors" if str(path).endswith("safetensors") else model
        )
    assert allowed(str(root), [root]) == root


def test_a_root_may_be_one_file(model, root):
    file = model / "model.safetensors"
    assert allowed(str(file), [file]) == file
    refused(model, [file], "outside")
    refused(model / "config.json", [file], "outside")


def test_without_roots_nothing_is_allowed(model):
    refused(model, [], "--models DIR")
    refused("/nowhere", [], "--models DIR")


def test_what_lies_outside_is_refused_whether_it_is_there_or_not(root, outside):
    messages = set()
    for path in (outside, f"{root}/../{outside.name}", "/nowhere/at/all", "/", "/etc/passwd", ".."):
        with pytest.raises(PathNotAllowed, match="outside") as found:
            allowed(str(path), [root])
        messages.add(str(found.value).replace(str(path), ""))
    assert len(messages) == 1


@pytest.mark.parametrize(
    "kind", ["folder", "file", "weights", "config.json", "adapter_config.json"]
)
def test_links_are_judged_by_where_they_lead(root, model, outside, kind):
    if kind == "folder":
        link, target = root / "link", outside
    elif kind == "file":
        link, target = root / "link.safetensors", outside / "model.safetensors"
    else:
        name = "more.safetensors" if kind == "weights" else kind
        (model / name).unlink(missing_ok=True)
        link, target = model / name, outside / "config.json"
    link.symlink_to(target)
    refused(link if kind in ("folder", "file") else model, [root], "outside")
    link.unlink()
    inside = write(root / "inside")
    link.symlink_to(inside if kind == "folder" else inside / "config.json")
    found = allowed(str(link if kind in ("folder", "file") else model), [root])
    assert found == (
        inside if kind == "folder" else inside / "config.json" if kind == "file" else model
    )


def test_a_chain_of_links_and_a_link_to_nowhere(root, model, outside):
    (root / "second").symlink_to(outside)
    (root / "first").symlink_to(root / "second")
    refused(root / "first", [root], "outside")
    (root / "loop").symlink_to(root / "loop")
    (root / "gone").symlink_to(root / "nothing")
    (root / "away").symlink_to("/nowhere/at/all")
    refused(root / "away", [root], "outside")
    with pytest.raises(ModelNotFound):
        allowed(str(root / "gone"), [root])
    with pytest.raises((ModelNotFound, PathNotAllowed)):
        allowed(str(root / "loop"), [root])


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket"])
@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "model.safetensors.index.json"]
)
def test_only_regular_files_are_read(root, model, kind, name):
    path = model / name
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mknod(path, 0o140600)
    refused(model, [root], f"{name}.*no regular file")
    if kind != "folder":
        refused(path, [root], "no regular file")


def test_other_files_of_a_folder_are_not_looked_at(root, model):
    os.mkfifo(model / "notes.txt")
    (model / "pytorch_model.bin").symlink_to("/etc/passwd")
    assert allowed(str(model), [root]) == model


def test_a_device_is_refused(root):
    (root / "null.safetensors").symlink_to("/dev/null")
    refused(root / "null.safetensors", [root], "outside")
    refused("/dev/null", [root.parents[-1]], "no regular file")


@pytest.mark.parametrize("name", ["nothing", "nothing/below", "a" * 300, "llama/config.json/below"])
def test_what_is_not_there_is_not_found(root, model, name):
    with pytest.raises((ModelNotFound, PathNotAllowed)) as found:
        allowed(str(root / name), [root])
    assert isinstance(found.value, ModelNotFound) or name == "llama/config.json/below"


@pytest.mark.parametrize(
    "name", ["a\x00b", "~nobody-of-that-name/model", "~", "\ud800", "\n", "a" * 5000, ""]
)
def test_names_that_cannot_be(root, name):
    with pytest.raises((ModelNotFound, PathNotAllowed)) as found:
        allowed(name, [root])
    assert len(str(found.value)) < 1000


def test_a_folder_that_cannot_be_listed(root, model, monkeypatch):
    def closed(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(model), "iterdir", closed)
    with pytest.raises(ModelNotFound, match="Permission denied"):
        allowed(str(model), [root])
    with pytest.raises(ModelNotFound, match="Permission denied"):
        identity(model)


def test_the_identity_changes_with_the_content(model):
    first = identity(model)
    assert [entry[0] for entry in first] == ["config.json", "model.safetensors"]
    assert identity(model) == first
    (model / "notes.txt").write_text("not read")
    assert identity(model) == first
    file = model / "model.safetensors"
    at = file.stat().st_mtime_ns
    changes = [
        lambda: file.write_bytes(b"longer weights"),
        lambda: os.utime(file, ns=(at, at + 1)),
        lambda: (model / "config.json").write_text("{ }"),
        lambda: (model / "adapter_config.json").write_text("{}"),
        lambda: (model / "more.safetensors").write_bytes(b""),
        lambda: (model / "more.safetensors").rename(model / "z.safetensors"),
    ]
    seen = [first]
    for change in changes:
        change()
        assert identity(model) not in seen
        seen.append(identity(model))


def test_a_file_put_in_anothers_place_has_another_identity(model):
    file = model / "model.safetensors"
    before, found = identity(file), file.stat()
    copy = model / "copy"
    copy.write_bytes(b"WEIGHTS")
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))
    copy.rename(file)
    assert identity(file) != before
    with pytest.raises(ModelNotFound):
        identity(model / "nothing")
