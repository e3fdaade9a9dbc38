"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_keys_hash")),
    )
    op.create_table(
        "artifacts",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_artifacts")),
    )
    op.create_table(
        "file_hashes",
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_file_hashes")),
    )
    op.create_table(
        "fits",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("estimator", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fit", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "estimator", "version", name=op.f("pk_fits")),
    )
    op.create_table(
        "idempotency",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=48), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=True),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=True),
        sa.Column("outline_key", sa.String(length=64), nullable=True),
        sa.Column("content_key", sa.String(length=64), nullable=True),
        sa.Column("analysis_id", sa.String(length=48), nullable=True),
        sa.Column("parent_id", sa.String(length=48), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("stored", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("last_event", sa.Integer(), server_default="0", nullable=False),
        sa.Column("assemblies", sa.Integer(), server_default="0", nullable=False),
        sa.Column("assemble_until", sa.Double(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_analysis_id"), "jobs", ["analysis_id"], unique=False)
    op.create_index(
        op.f("ix_jobs_owner_content_key"), "jobs", ["owner", "content_key"], unique=False
    )
    op.create_index(op.f("ix_jobs_owner_kind_id"), "jobs", ["owner", "kind", "id"], unique=False)
    op.create_index(op.f("ix_jobs_parent_id"), "jobs", ["parent_id"], unique=False)
    op.create_index(op.f("ix_jobs_state"), "jobs", ["state"], unique=False)
    op.create_table(
        "units",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("stalls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker", sa.String(length=48), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("deadline_at", sa.Double(), nullable=True),
        sa.Column("not_before", sa.Double(), nullable=True),
        sa.Column("sent_at", sa.Double(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_units")),
        sa.UniqueConstraint("key", name=op.f("uq_units_key")),
    )
    op.create_index(op.f("ix_units_state_rank"), "units", ["state", "rank"], unique=False)
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("queue", sa.String(length=16), nullable=False),
        sa.Column("devices", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "events",
        sa.Column("job_id", sa.String(length=48), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("type", sa.String(length=24), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_events_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_events")),
    )
    op.create_table(
        "links",
        sa.Column("job_id", sa.String(length=48), nullable=False),
        sa.Column("unit_id", sa.String(length=48), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_links_job_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["units.id"], name=op.f("fk_links_unit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "unit_id", name=op.f("pk_links")),
    )
    op.create_index(op.f("ix_links_unit_id"), "links", ["unit_id"], unique=False)
    op.create_table(
        "outlines",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("artifact", sa.String(length=64), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact"], ["artifacts.sha256"], name=op.f("fk_outlines_artifact")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_outlines")),
    )
    op.create_table(
        "results",
        sa.Column("job_id", sa.String(length=48), nullable=False),
        sa.Column("artifact", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["artifact"], ["artifacts.sha256"], name=op.f("fk_results_artifact")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_results_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_results")),
    )
    op.create_table(
        "spectra",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("checked", sa.Boolean(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.String(length=4), nullable=False),
        sa.Column("tensor_sha256", sa.String(length=64), nullable=False),
        sa.Column("artifact", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact"], ["artifacts.sha256"], name=op.f("fk_spectra_artifact")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spectra")),
    )
    op.create_table(
        "targets",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("unit_id", sa.String(length=48), nullable=False),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["units.id"], name=op.f("fk_targets_unit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_targets")),
    )
    op.create_index(op.f("ix_targets_unit_id"), "targets", ["unit_id"], unique=False)


def downgrade() -> None:
    """Undo."""
    op.drop_index(op.f("ix_targets_unit_id"), table_name="targets")
    op.drop_table("targets")
    op.drop_table("spectra")
    op.drop_table("results")
    op.drop_table("outlines")
    op.drop_index(op.f("ix_links_unit_id"), table_name="links")
    op.drop_table("links")
    op.drop_table("events")
    op.drop_table("workers")
    op.drop_index(op.f("ix_units_state_rank"), table_name="units")
    op.drop_table("units")
    op.drop_index(op.f("ix_jobs_state"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_parent_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_owner_kind_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_owner_content_key"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_analysis_id"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("idempotency")
    op.drop_table("fits")
    op.drop_table("file_hashes")
    op.drop_table("artifacts")
    op.drop_table("api_keys")
