"""Run the migrations on the connection that `ledger.migrate` opened."""

from alembic import context

from ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
