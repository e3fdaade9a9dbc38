"""The worker of `tailora serve` has the settings that the command was given as options."""

from typer.main import get_command

from ledger.settings import load_settings, variable
from service.cli.main import app
from worker.embedded import own_environment

OF_THE_API = {"host", "port"}


def test_options_reach_the_worker(tmp_path, monkeypatch):
    options = {each.name for each in get_command(app).commands["serve"].params} - OF_THE_API
    given = {name: tmp_path / name for name in options}
    assert "datasets" in given
    for folder in given.values():
        folder.mkdir()
    told = own_environment(load_settings(**{name: str(path) for name, path in given.items()}))
    for name in options:
        monkeypatch.delenv(variable(name), raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert {name: str(getattr(settings, name)) for name in options} == {
        name: str(path) for name, path in given.items()
    }
