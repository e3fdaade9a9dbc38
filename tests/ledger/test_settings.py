"""Settings come from the environment; a wrong one stops the start with its name."""

import pytest

from ledger.database import Database
from ledger.errors import SettingsError
from ledger.settings import OF_THE_COMMAND, Settings, load_settings, variable

SECRET = "a-password-that-nobody-should-see"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("TAILORA_")]:
        monkeypatch.delenv(name)


WRONG = [
    ("DATABASE_URL", "nonsense"), ("DATABASE_URL", f"mysql://u:{SECRET}@host/db"),
    ("DATABASE_URL", f"redis://:{SECRET}@host/0"), ("DATABASE_URL", "filesystem://"),
    ("DATABASE_URL", f"postgresql://u:{SECRET}@host/db"), ("DATABASE_URL", f"://{SECRET}"),
    ("BROKER_URL", "nonsense"), ("BROKER_URL", f"amqp://u:{SECRET}@host"),
    ("BROKER_URL", f"postgresql+psycopg://u:{SECRET}@host/db"), ("BROKER_URL", "sqlite:///a"),
    ("MODELS", "/nowhere/at/all"), ("DATASETS", "/nowhere/at/all"),
    ("DATASET_BYTES", "-1"), ("DATASET_BYTES", "2147483648"), ("DATASET_BYTES", "1GB"),
    ("DATASETS_TOTAL_BYTES", "-1"), ("PORT", "http"), ("PORT", "65536"), ("PORT", "-1"),
    ("KEY_PEPPER", "fifteen letters"), ("BODY_BYTES", "1023"), ("BODY_BYTES", "64kB"),
    ("ANALYZE_DEVICES", ""), ("ANALYZE_DEVICES", "gpu"), ("ANALYZE_DEVICES", "cuda"),
    ("ANALYZE_DEVICES", "cuda:0;cuda:1"), ("ANALYZE_DEVICES", "auto,cpu"),
    ("TRAIN_DEVICES", "tpu:0"), ("THREADS", "-1"), ("THREADS", "1.5"), ("MEMORY", "1000"),
    ("LEASE", "0"), ("LEASE", "a minute"),
    ("LEASE", "inf"), ("LEASE", "nan"), ("HEARTBEAT", "0"), ("HEARTBEAT", "-1"), ("REAPER", "0"),
    ("REAPER", "inf"), ("RESEND", "0"), ("PRESENCE", "0"), ("DISPATCH", "0"), ("DISPATCH", "inf"),
    ("ATTEMPTS", "0"), ("ATTEMPTS", "2.5"), ("UNIT_COST", "0"), ("LEAST_UNIT_COST", "0"),
    ("DEADLINE", "0"), ("INLINE_BYTES", "-1"), ("HUB_DEADLINE", "0"), ("LOG_FORMAT", "xml"),
    ("LOG_LEVEL", "loud"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_by_name(monkeypatch, name, value):
    monkeypatch.setenv(f"TAILORA_{name}", value)
    with pytest.raises(SettingsError, match=f"TAILORA_{name} ") as found:
        load_settings()
    assert SECRET not in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("name", ["TAILORA_LEASES", "TAILORA_", "TAILORA_lease"])
def test_an_unknown_variable_is_refused(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"^{name} is no setting"):
        load_settings()


def test_variables_of_the_command_and_of_others_are_left_alone(monkeypatch):
    for name in (*OF_THE_COMMAND, "TAILOR_LEASE", "XTAILORA_LEASE"):
        monkeypatch.setenv(name, "1")
    assert load_settings().lease == 60.0


def test_what_the_design_says_is_the_default():
    found = load_settings()
    assert (found.lease, found.heartbeat, found.reaper) == (60.0, 20.0, 10.0)
    assert (found.resend, found.presence, found.attempts) == (120.0, 5.0, 5)
    assert (found.host, found.body_bytes, found.models, found.roots) == (
        "127.0.0.1",
        65_536,
        "",
        (),
    )
    assert found.database == f"sqlite:///{found.data}/tailora.db"
    assert found.broker.startswith("filesystem://")


def test_every_setting_has_its_variable(monkeypatch, tmp_path):
    given = {
        "DATA": str(tmp_path), "DATABASE_URL": "sqlite:////tmp/a.db", "BROKER_URL": "rediss://h/1",
        "MODELS": str(tmp_path), "DATASETS": str(tmp_path), "DATASET_BYTES": "0",
        "DATASETS_TOTAL_BYTES": "0", "HOST": "::1", "PORT": "0",
        "API_PROCESSES": "2", "KEY_PEPPER": "sixteen letters.",
        "BODY_BYTES": "1024", "ANALYZE_DEVICES": "cuda:0,cuda:11,cpu",
        "TRAIN_DEVICES": "cuda:1,cpu",
        "THREADS": "3", "MEMORY": "16000000", "LEASE": "6", "HEARTBEAT": "2.5", "REAPER": "0.5",
        "RESEND": "7", "PRESENCE": "0.25", "DISPATCH": "0.125", "ATTEMPTS": "1", "UNIT_COST": "1e9",
        "LEAST_UNIT_COST": "1.0", "DEADLINE": "9", "SEGMENT": "11", "INLINE_BYTES": "0",
        "HUB_DEADLINE": "4",
        "SUBMIT_RATE": "0", "SUBMIT_BURST": "1", "OPEN_JOBS": "0", "OPEN_UNITS": "7",
        "REFUSALS": "0", "SHARED": "true", "KEEP_DAYS": "0.5",
        "LOG_FORMAT": "json", "LOG_LEVEL": "debug",
    }  # fmt: skip
    assert {f"TAILORA_{name}" for name in given} == {
        variable(name) for name in Settings.model_fields
    }
    for name, value in given.items():
        monkeypatch.setenv(f"TAILORA_{name}", value)
    found = load_settings()
    assert (found.database, found.broker) == ("sqlite:////tmp/a.db", "rediss://h/1")
    assert (found.lease, found.heartbeat, found.threads) == (6.0, 2.5, 3)
    assert load_settings(lease=9.0, threads=None) == found.model_copy(update={"lease": 9.0})


def test_a_lease_is_longer_than_two_heartbeats(monkeypatch):
    monkeypatch.setenv("TAILORA_HEARTBEAT", "30")
    with pytest.raises(SettingsError, match="TAILORA_LEASE must be more than twice"):
        load_settings()
    with pytest.raises(SettingsError, match="TAILORA_LEASE"):
        load_settings(lease=60.0)
    assert load_settings(lease=60.1).heartbeat == 30.0


def test_a_gpu_is_given_once():
    with pytest.raises(SettingsError, match=r"TAILORA_ANALYZE_DEVICES and TAILORA_TRAIN.* cuda:1;"):
        load_settings(analyze_devices="cuda:0,cuda:1,cpu", train_devices="cuda:1,cuda:2")
    load_settings(analyze_devices="cuda:0,cpu", train_devices="cuda:1,cpu")
    load_settings(analyze_devices="cuda:0", train_devices="auto")


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("example.org", False),
        ("localhost.example.org", False), ("", False), ("127.0.0.1.example.org", False),
    ],
)  # fmt: skip
def test_who_reaches_only_this_machine(host, alone):
    assert load_settings(host=host).on_loopback is alone


def test_roots_are_several_folders_links_resolved(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "two")
    found = load_settings(models=f"{tmp_path}/one:{tmp_path}/link:")
    assert found.roots == ((tmp_path / "one").resolve(), (tmp_path / "two").resolve())
    sets = load_settings(datasets=f"{tmp_path}/two:{tmp_path}/one")
    assert sets.dataset_roots == ((tmp_path / "two").resolve(), (tmp_path / "one").resolve())
    with pytest.raises(SettingsError, match="TAILORA_MODELS is wrong: /nowhere is no folder"):
        load_settings(models=f"{tmp_path}/one:/nowhere")


def test_secrets_are_not_shown():
    url = f"postgresql+psycopg://u:{SECRET}@host/db"
    found = load_settings(database_url=url, broker_url=f"redis://:{SECRET}@h", key_pepper=SECRET)
    assert SECRET not in repr(found) + str(found.shown) + str(found)
    assert found.database == url
    assert found.shown["TAILORA_LEASE"] == "60.0"
    assert set(found.shown) == {variable(name) for name in Settings.model_fields}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_sqlite_is_a_file(url):
    with pytest.raises(SettingsError, match="TAILORA_DATABASE_URL is wrong"):
        Database(url)


def test_secrets_come_from_files_too(monkeypatch, tmp_path):
    (tmp_path / "tailora_key_pepper").write_text("from a file, long enough\n")
    (tmp_path / "tailora_database_url").write_text("sqlite:////tmp/of-a-file.db\n")
    (tmp_path / "other").write_text("of another program")
    monkeypatch.setenv("TAILORA_SECRETS_DIR", str(tmp_path))
    found = load_settings()
    assert found.key_pepper.get_secret_value() == "from a file, long enough"
    assert found.database == "sqlite:////tmp/of-a-file.db"
    monkeypatch.setenv("TAILORA_KEY_PEPPER", "of the environment")
    assert load_settings().key_pepper.get_secret_value() == "of the environment"
    monkeypatch.setenv("TAILORA_SECRETS_DIR", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="TAILORA_SECRETS_DIR is wrong.*is no folder"):
        load_settings()


def test_a_wrong_secret_names_its_setting_and_not_itself(monkeypatch, tmp_path):
    (tmp_path / "tailora_key_pepper").write_text("short-secret")
    monkeypatch.setenv("TAILORA_SECRETS_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match="TAILORA_KEY_PEPPER is wrong") as wrong:
        load_settings()
    assert "short-secret" not in str(wrong.value)
