"""The tables, in types that SQLite and PostgreSQL share. Times: seconds by the database clock."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

ID = String(48)
LARGE = BigInteger().with_variant(Integer(), "sqlite")
DIGEST = String(64)


def _job() -> Column[str]:
    return Column("job_id", ID, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)


jobs = Table(
    "jobs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("state", String(12), nullable=False),
    Column("phase", String(16)),
    Column("request", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("model", Text, nullable=False),
    Column("revision", String(64)),
    Column("outline_key", DIGEST),
    Column("content_key", DIGEST),
    Column("analysis_id", ID),
    Column("parent_id", ID),
    Column("attempt", Integer, nullable=False, server_default="1"),
    Column("stored", Integer, nullable=False, server_default="0"),
    Column("error", JSON),
    Column("last_event", Integer, nullable=False, server_default="0"),
    Column("assemblies", Integer, nullable=False, server_default="0"),
    Column("assemble_until", Double),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("restricted", Boolean, nullable=False, server_default=false()),
    Column("done", Integer),
    Column("total", Integer),
    Index(None, "owner", "kind", "id"),
    Index(None, "owner", "content_key"),
    Index(None, "owner", "state", "kind", "id"),
    Index(None, "kind", "id"),
    Index(None, "state", "kind", "id"),
    Index(None, "finished_at"),
    Index(None, "analysis_id"),
    Index(None, "parent_id"),
)
"""What was asked: plans, analyses, looks at a model's outline, trainings and comparisons of them.

`restricted` are those of gated or private models. `done` of `total` are steps of a training, or
trainings of a comparison; others count the spectra of their units.
"""

units = Table(
    "units",
    metadata,
    Column("id", ID, primary_key=True),
    Column("key", DIGEST, unique=True),
    Column("kind", String(12), nullable=False),
    Column("state", String(12), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("cost", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("size", Integer, nullable=False),
    Column("done", Integer, nullable=False, server_default="0"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("stalls", Integer, nullable=False, server_default="0"),
    Column("worker", ID),
    Column("lease_until", Double),
    Column("deadline_at", Double),
    Column("not_before", Double),
    Column("sent_at", Double),
    Column("report", JSON),
    Column("error", JSON),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    Index(None, "state", "rank"),
)
"""What a worker takes at a time. `attempt` fences writes; `stalls` are starts since progress."""

links = Table(
    "links",
    metadata,
    _job(),
    Column("unit_id", ID, ForeignKey("units.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "unit_id"),
)
"""Which jobs wait for which units."""

targets = Table(
    "targets",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("unit_id", ID, ForeignKey("units.id", ondelete="CASCADE"), nullable=False),
    Index(None, "unit_id"),
)
"""Which live unit solves which spectrum, so that no other does."""

results = Table(
    "results",
    metadata,
    _job(),
    Column("artifact", DIGEST, ForeignKey("artifacts.sha256"), nullable=False),
    Column("digest", DIGEST),
)
"""What came out: the analysis or plan as a document."""

files = Table(
    "files",
    metadata,
    _job(),
    Column("name", String(200), primary_key=True),
    Column("artifact", DIGEST, ForeignKey("artifacts.sha256"), nullable=False),
    Column("bytes", LARGE, nullable=False),
    Index(None, "artifact"),
)
"""What a training starts from (`plan.json`) and leaves (`adapter/…`)."""

metrics = Table(
    "metrics",
    metadata,
    _job(),
    Column("step", Integer, primary_key=True),
    Column("data", JSON, nullable=False),
    Column("mixtures", JSON),
)
"""Lines of a training's metrics; what each router did, which is most of it, by itself."""

checkpoints = Table(
    "checkpoints",
    metadata,
    _job(),
    Column("step", Integer, primary_key=True),
    Column("bytes", LARGE, nullable=False),
    Column("created_at", Double, nullable=False),
)
"""What a training can go on from."""

events = Table(
    "events",
    metadata,
    _job(),
    Column("seq", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    Column("level", String(8), nullable=False),
    Column("type", String(24), nullable=False),
    Column("message", Text, nullable=False),
    Column("data", JSON),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("body_hash", DIGEST, nullable=False),
    Column("job_id", ID, nullable=False),
    Column("status", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
)

outlines = Table(
    "outlines",
    metadata,
    Column("key", DIGEST, primary_key=True),
    Column("artifact", DIGEST, ForeignKey("artifacts.sha256"), nullable=False),
    Column("files", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
)
"""What a pinned model holds, and the size and sha256 of its files."""

spectra = Table(
    "spectra",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("checked", Boolean, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("model", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("windows", Integer, nullable=False),
    Column("dtype", String(4), nullable=False),
    Column("tensor_sha256", DIGEST, nullable=False),
    Column("artifact", DIGEST, ForeignKey("artifacts.sha256"), nullable=False),
    Column("created_at", Double, nullable=False),
)
"""Eigenvalues by content key: the database version of the store."""

fits = Table(
    "fits",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("estimator", String(32), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("fit", JSON, nullable=False),
)

file_hashes = Table(
    "file_hashes",
    metadata,
    Column("identity", DIGEST, primary_key=True),
    Column("sha256", DIGEST, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("sha256", DIGEST, primary_key=True),
    Column("bytes", LARGE, nullable=False),
    Column("content", LargeBinary),
    Column("created_at", Double, nullable=False),
)
"""Bytes by their checksum: in the row, or in a file of that name where they are large."""

datasets = Table(
    "datasets",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("format", String(8), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("artifact", DIGEST, ForeignKey("artifacts.sha256"), nullable=False),
    Column("columns", JSON),
    Column("labels", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Index(None, "owner", "id"),
)
"""Data for trainings that somebody uploaded. `columns` are null where nobody could read them."""

workers = Table(
    "workers",
    metadata,
    Column("id", ID, primary_key=True),
    Column("host", String(255), nullable=False),
    Column("queue", String(16), nullable=False),
    Column("devices", Text, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("version", String(32), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("hash", DIGEST, nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("scopes", String(64), nullable=False, server_default="write"),
)

allowances = Table(
    "allowances",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("spent_until", Double, nullable=False),
)
"""How much of an owner's submissions is spent: when it will be none again (GCRA)."""

counters = Table(
    "counters",
    metadata,
    Column("id", LARGE, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("labels", String(128), nullable=False),
    Column("value", Double, nullable=False),
)
"""What has been done so far: rows to add up."""
