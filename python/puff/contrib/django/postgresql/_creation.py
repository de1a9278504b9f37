"""Test databases, and their copies for `test --parallel`."""

from __future__ import annotations

import multiprocessing
from typing import Any

from django.db.backends.postgresql import creation


def choose_live_server() -> None:
    """Makes the live servers of tests Puff's, unless the settings say otherwise."""
    from puff.contrib.django import testing  # only tests need Django's

    testing.choose_live_server()


class DatabaseCreation(creation.DatabaseCreation):  # type: ignore[misc]
    """Django's, for tests that run in several processes and have Puff's live server."""

    def create_test_db(self, *args: Any, **options: Any) -> Any:
        """Makes the test database."""
        choose_live_server()
        return super().create_test_db(*args, **options)

    def setup_worker_connection(self, *args: Any, **options: Any) -> None:
        """Takes the copy of one process."""
        choose_live_server()
        super().setup_worker_connection(*args, **options)

    def clone_test_db(self, *args: Any, **options: Any) -> None:
        """Makes a copy for one process of the tests.

        Those are fresh ones: a fork would leave the runtime's threads behind in the middle of their work.
        """
        multiprocessing.set_start_method("spawn", force=True)
        self.connection.close_pool()  # PostgreSQL copies no database that has sessions
        super().clone_test_db(*args, **options)
