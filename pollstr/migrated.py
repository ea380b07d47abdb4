"""Whether the database has the tables that this version of the code works with."""

import logging
from functools import lru_cache

from django.db import DatabaseError, ProgrammingError, connection
from django.db.migrations.loader import MigrationLoader

logger = logging.getLogger(__name__)

# What SQLite says of a table or column that is not there; PostgreSQL has an error of its own.
MISSING_IN_SQLITE = ("no such table", "no such column", "has no column")


class NotMigrated(Exception):
    """The database lacks migrations of this version."""


@lru_cache(maxsize=1)
def demand_migrations():
    """Log what to do and raise NotMigrated, until all migrations of this version are applied.

    Then it is not looked at again. Those of a later version may be applied, too: so an older
    one can serve again.
    """
    loader = MigrationLoader(connection)
    missing = set(loader.graph.leaf_nodes()) - loader.applied_migrations.keys()
    if missing:
        apps = ", ".join(sorted(app for app, _ in missing))
        logger.error("The database is not migrated (%s): run python manage.py migrate", apps)
        raise NotMigrated


def is_of_missing_migration(error) -> bool:
    """Whether a query failed for want of a migration, and not by a fault of ours."""
    says_so = any(words in str(error) for words in MISSING_IN_SQLITE)
    if not says_so and not isinstance(error, ProgrammingError):
        return False
    try:
        demand_migrations()
    except (NotMigrated, DatabaseError):
        return True
    return False
