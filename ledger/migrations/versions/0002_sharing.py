"""Key scopes, restricted jobs, quotas, and counters for metrics."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply. What was there before stays as open as it was."""
    # Not in a batch: SQLite would copy the table and drop the old one, and all that hangs on it.
    op.add_column(
        "api_keys",
        sa.Column("scopes", sa.String(length=64), nullable=False, server_default="write"),
    )
    op.add_column(
        "jobs",
        sa.Column("restricted", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.drop_index(op.f("ix_jobs_state"), "jobs")
    op.create_index(op.f("ix_jobs_state_kind_id"), "jobs", ["state", "kind", "id"])
    op.create_index(op.f("ix_jobs_owner_state_kind_id"), "jobs", ["owner", "state", "kind", "id"])
    op.create_index(op.f("ix_jobs_kind_id"), "jobs", ["kind", "id"])
    op.create_index(op.f("ix_jobs_finished_at"), "jobs", ["finished_at"])
    op.create_table(
        "allowances",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("spent_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_allowances")),
    )
    op.create_table(
        "counters",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.String(length=128), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counters")),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("counters")
    op.drop_table("allowances")
    for name in ("finished_at", "kind_id", "owner_state_kind_id", "state_kind_id"):
        op.drop_index(op.f(f"ix_jobs_{name}"), "jobs")
    op.create_index(op.f("ix_jobs_state"), "jobs", ["state"])
    op.drop_column("jobs", "restricted")
    op.drop_column("api_keys", "scopes")
