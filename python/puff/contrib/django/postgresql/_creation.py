"""Test databases, and their copies for `test --parallel`."""

from __future__ import annotations

import multiprocessing
from typing import Any

from django.db.backends.postgresql import creation


class DatabaseCreation(creation.DatabaseCreation):  # type: ignore[misc]
    """Django's, for tests that run in several processes."""

    def clone_test_db(self, *args: Any, **options: Any) -> None:
        """Makes a copy for one process of the tests.

        Those are fresh ones: a fork would leave the runtime's threads behind in the middle of their work.
        """
        multiprocessing.set_start_method("spawn", force=True)
        self.connection.close_pool()  # PostgreSQL copies no database that has sessions
        super().clone_test_db(*args, **options)
