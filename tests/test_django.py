"""Django on Puff's driver: a small project on the private server, inside the runtime and beside it."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable

import pytest
from django_shop import Shop, environment
from stack import Run


def test_settings_without_a_database_are_the_programs(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        """
        from django.conf import settings
        from django.db import connections
        from puff.postgres.extensions import parse_dsn

        def main():
            mine, program = connections["default"].settings_dict, parse_dsn(postgres.dsn())
            print([mine[name.upper()] == program[name] for name in ("host", "user")], mine["NAME"])
            elsewhere = {**settings.DATABASES["default"], "NAME": "", "HOST": "127.0.0.1", "PORT": "1"}
            connections.settings["elsewhere"] = elsewhere
            theirs = connections["elsewhere"].settings_dict
            print(repr(theirs["NAME"]), theirs["PORT"])
        """
    )
    assert printed == "[True, True] puff\n'' 1\n"


def test_contrib_postgres(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        """
        import datetime
        from django.contrib.postgres.search import SearchVector
        from django.core.management import call_command
        from django.db import connection
        from django.db.backends.postgresql.psycopg_any import NumericRange
        from shop.models import Item

        def main():
            call_command("migrate", verbosity=0)
            with connection.schema_editor() as editor:
                editor.create_model(Item)
            Item.objects.bulk_create(
                Item(name=f"item {n}", tags=["red", "it's"], facts={"size": str(n), "none": None},
                     extra={"n": [n, None, "\\u00e9"]}, prices=NumericRange(n, 10))
                for n in range(5)
            )
            one = Item.objects.get(facts__contains={"size": "3"})
            assert (one.tags, one.facts, one.extra) == (
                ["red", "it's"], {"size": "3", "none": None}, {"n": [3, None, "\\u00e9"]})
            assert one.prices == NumericRange(3, 10), one.prices
            assert one.added.utcoffset() == datetime.timedelta(0)
            assert Item.objects.annotate(words=SearchVector("name")).filter(words="3").get() == one
            assert Item.objects.filter(tags__overlap=["red"], prices__contains=2).count() == 3
            assert len([item.name for item in Item.objects.iterator(chunk_size=2)]) == 5
            print("all types")
        """
    )
    assert printed == "all types\n"


@pytest.mark.parametrize("age", ["0", "60"])
def test_manage_test_makes_and_drops_a_database(shop: Shop, puff: Run, age: str) -> None:
    (shop.folder / "shop" / "tests.py").write_text(
        textwrap.dedent(
            """
            import puff
            from django.db import connection
            from django.test import TestCase

            class OfTheDatabase(TestCase):
                def test_greenlets(self):
                    puff.join_all([puff.spawn(self.test_name) for _ in range(5)])

                def test_name(self):
                    assert connection.settings_dict["NAME"].startswith("test_")
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT current_database()")
                        assert cursor.fetchone()[0].startswith("test_")
            """
        )
    )
    environ = {**environment(), "MAX_AGE": age}
    done = puff("python", "manage.py", "test", "--noinput", cwd=shop.folder, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 2 tests" in done.stderr


@pytest.mark.skipif(shutil.which("psql") is None, reason="dbshell is psql, and there is none here")
def test_dbshell(shop: Shop, puff: Run) -> None:
    done = puff(
        "python", "manage.py", "dbshell", "--", "-XAtc", "SELECT 6 * 7", cwd=shop.folder, env=environment()
    )
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


def test_our_driver_also_where_psycopg_3_is_installed(shop: Shop, in_shop: Callable[..., str]) -> None:
    (shop.folder / "psycopg.py").write_text("__version__ = '3.2.1'\n")
    try:
        printed = in_shop(
            """
            import psycopg
            from django.db.backends.postgresql.psycopg_any import is_psycopg3

            def main():
                pid(0)
                print(is_psycopg3, connection.Database.__name__, psycopg.__version__)
            """
        )
    finally:
        (shop.folder / "psycopg.py").unlink()
    assert printed == "False puff.postgres 3.2.1\n"


def test_too_late(shop: Shop, puff: Run) -> None:
    """As if psycopg 3 were installed and one of Django's modules had found it."""
    code = """
import sys, types
chosen = types.ModuleType("django.db.backends.postgresql.psycopg_any")
chosen.is_psycopg3 = True
sys.modules[chosen.__name__] = chosen
import puff.contrib.django.postgresql
"""
    done = puff("python", "-c", code, cwd=shop.folder, env=environment())
    assert done.returncode == 1
    assert "ImproperlyConfigured: Django has chosen psycopg 3 before" in done.stderr
