"""Settings by environment, prefix TAILORA_; a wrong one stops the start with its name."""

import os
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from ledger.errors import SettingsError

PREFIX = "TAILORA_"
OF_THE_COMMAND = {"TAILORA_URL", "TAILORA_API_KEY", "TAILORA_CACHE", "TAILORA_DEBUG"}
"""Variables that the command line reads itself."""

SECRETS_DIR = "TAILORA_SECRETS_DIR"
"""A folder of files, each with the value of the setting that it is named after in small letters."""

DEFAULT_SECRETS = Path("/run/secrets")

_SCHEMES = {
    "database_url": ("postgresql+psycopg", "sqlite"),
    "broker_url": ("redis", "rediss", "filesystem"),
}
_DEVICE = r"^(auto|(cpu|cuda:\d+)(,(cpu|cuda:\d+))*)$"


class Settings(BaseSettings):
    """Every setting of the service, its workers and their ledger. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, allow_inf_nan=False
    )

    data: Path = Field(
        default_factory=lambda: user_data_path("tailora"),
        description="folder of files: the SQLite database, its messages, large artifacts",
    )
    database_url: SecretStr = Field(
        SecretStr(""), description="postgresql+psycopg://…; empty: SQLite in the data folder"
    )
    broker_url: SecretStr = Field(
        SecretStr(""), description="redis://…; empty: messages as files in the data folder"
    )
    models: str = Field(
        "", description="folders that local models may lie in, separated by colons; empty: none"
    )
    datasets: str = Field(
        "", description="folders of datasets to train on, separated by colons; empty: none"
    )
    dataset_bytes: int = Field(
        1_000_000_000, ge=0, le=2**31 - 1, description="largest uploaded dataset; 0: no uploads"
    )
    datasets_total_bytes: int = Field(
        10_000_000_000, ge=0, description="uploaded datasets of an owner together; 0: any"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    api_processes: int = Field(1, ge=1, description="processes that `tailora api` serves with")
    key_pepper: SecretStr = Field(
        SecretStr(""), description="secret mixed into stored key hashes; at least 16 characters"
    )
    body_bytes: int = Field(65_536, ge=1024, description="largest request body")
    analyze_devices: str = Field(
        "auto",
        pattern=_DEVICE,
        description="auto, or names such as cpu or cuda:0,cuda:1; one process each",
    )
    train_devices: str = Field(
        "auto", pattern=_DEVICE, description="the same for training; GPUs of the two are disjoint"
    )
    threads: int = Field(0, ge=0, description="CPU threads of a worker process; 0: all cores")
    memory: int = Field(2_000_000_000, ge=16_000_000, description="bytes read ahead of the solver")
    lease: float = Field(60.0, gt=0, description="how long a unit is a silent worker's")
    heartbeat: float = Field(20.0, gt=0, description="how often a worker extends its lease")
    reaper: float = Field(10.0, gt=0, description="how often expired leases are looked for")
    resend: float = Field(120.0, gt=0, description="when a message that nobody took is sent again")
    presence: float = Field(5.0, gt=0, description="how often a worker says that it is there")
    dispatch: float = Field(0.25, gt=0, description="how often the dispatcher looks for work")
    attempts: int = Field(5, ge=1, description="starts of a unit without progress")
    unit_cost: float = Field(1e12, gt=0, description="operations of a unit, at most (one matrix)")
    least_unit_cost: float = Field(2e10, gt=0, description="operations of a unit, where it can be")
    deadline: float = Field(120.0, gt=0, description="least time that a unit may take")
    segment: float = Field(
        1800.0, gt=0, description="how long a training runs before one that waits has its turn"
    )
    inline_bytes: int = Field(1_000_000, ge=0, description="larger artifacts are files")
    submit_rate: float = Field(10.0, ge=0, description="submissions of an owner a second; 0: any")
    submit_burst: int = Field(50, ge=1, description="submissions of an owner at once")
    open_jobs: int = Field(100, ge=0, description="jobs of an owner that have not ended; 0: any")
    open_units: int = Field(20_000, ge=0, description="units that these wait for; 0: any")
    refusals: int = Field(
        20, ge=0, description="requests a minute of an address without a valid key; 0: any"
    )
    shared: bool = Field(False, description="whether every key reads the jobs of all owners")
    keep_days: float = Field(
        0.0, ge=0, description="ended jobs are deleted after so many days; 0: never"
    )
    hub_deadline: float = Field(5.0, gt=0, description="wait for the Hub while a request waits")
    log_format: Literal["json", "console"] = Field("console", description="json or console")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level"
    )

    @field_validator("database_url", "broker_url")
    @classmethod
    def _known_scheme(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        text = value.get_secret_value()
        known = _SCHEMES[str(info.field_name)]
        try:
            if text and make_url(text).drivername not in known:
                raise ValueError(f"its scheme is none of {', '.join(known)}")
        except ArgumentError as error:
            raise ValueError("it is no URL") from error
        return value

    @field_validator("models", "datasets")
    @classmethod
    def _folders(cls, value: str) -> str:
        for part in filter(None, value.split(os.pathsep)):
            if not Path(part).is_dir():
                raise ValueError(f"{part} is no folder")
        return value

    @field_validator("key_pepper")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 16:
            raise ValueError("it has less than 16 characters; make one with `make env`")
        return value

    @model_validator(mode="after")
    def _together(self) -> "Settings":
        if not self.lease > 2 * self.heartbeat:
            raise ValueError("TAILORA_LEASE must be more than twice TAILORA_HEARTBEAT")
        shared = _gpus(self.analyze_devices) & _gpus(self.train_devices)
        if shared:
            raise ValueError(
                f"TAILORA_ANALYZE_DEVICES and TAILORA_TRAIN_DEVICES share {min(shared)}; "
                "give each GPU to one of them"
            )
        return self

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data / 'tailora.db'}"

    @property
    def broker(self) -> str:
        """The broker's URL."""
        return self.broker_url.get_secret_value() or "filesystem://localhost"

    @cached_property
    def roots(self) -> tuple[Path, ...]:
        """Folders that local models may lie in, links resolved."""
        return _resolved(self.models)

    @cached_property
    def dataset_roots(self) -> tuple[Path, ...]:
        """Folders whose entries are datasets, links resolved."""
        return _resolved(self.datasets)

    @property
    def on_loopback(self) -> bool:
        """Whether nobody else can reach the address, so that no key is asked for."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def shown(self) -> dict[str, str]:
        """Every setting by its variable, secrets hidden."""
        return {
            variable(name): str(getattr(self, name)) for name in sorted(type(self).model_fields)
        }


def _resolved(folders: str) -> tuple[Path, ...]:
    return tuple(Path(part).resolve() for part in folders.split(os.pathsep) if part)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def load_settings(**given: object) -> Settings:
    """The settings of this process; `given` ones go first. Raises SettingsError."""
    known = {variable(name) for name in Settings.model_fields} | OF_THE_COMMAND | {SECRETS_DIR}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(
            f"{unknown[0]} is no setting; see docs/service.md for those there are, or unset it"
        )
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(_secrets_dir=_secrets(), **chosen)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise SettingsError(reason) from error
        name = variable(str(first["loc"][0]))
        raise SettingsError(f"{name} is wrong: {reason}") from error


def _secrets() -> Path | None:
    given = os.environ.get(SECRETS_DIR)
    folder = Path(given) if given else DEFAULT_SECRETS
    if folder.is_dir():
        return folder
    if given:
        raise SettingsError(f"{SECRETS_DIR} is wrong: {given} is no folder")
    return None


def _gpus(devices: str) -> set[str]:
    return {device for device in devices.split(",") if device.startswith("cuda")}
