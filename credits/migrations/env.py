"""Alembic's entry: runs the migrations in the transaction that credits.ops.migrate opened."""

from alembic import context

from credits.migrations.all_tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes a column only by building the table anew.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
