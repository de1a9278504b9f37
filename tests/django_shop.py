"""A shop of one model: a Django project on Puff's driver, and programs that run in it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from stack import Run, clean_environment
from tools import packages, tools

SETTINGS = """
import os

import puff.contrib.django.postgresql

DATABASES = {
    "default": {
        "ENGINE": "puff.contrib.django.postgresql",
        "OPTIONS": {"application_name": "shop"},
        "CONN_MAX_AGE": int(os.environ.get("MAX_AGE", "0")),
    }
}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.postgres", "shop"]
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
SECRET_KEY = "not one"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""

MODELS = """
from django.contrib.postgres.fields import ArrayField, IntegerRangeField, HStoreField
from django.db import models


class Item(models.Model):
    name = models.CharField(max_length=50, unique=True)
    tags = ArrayField(models.TextField(), default=list)
    facts = HStoreField(default=dict)
    extra = models.JSONField(default=dict)
    prices = IntegerRangeField(null=True)
    added = models.DateTimeField(auto_now_add=True)
"""

MIGRATION = """
from django.contrib.postgres.operations import HStoreExtension
from django.db import migrations

class Migration(migrations.Migration):
    initial = True
    operations = [HStoreExtension()]
"""

URLS = """
from django.db import connection, transaction
from django.http import JsonResponse
from django.urls import path


def pid(request):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), pg_sleep(0.3)")
        return JsonResponse({"pid": cursor.fetchone()[0]})


urlpatterns = [path("pid", pid)]
"""

COMMON = """
import os
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

import puff
from django.db import connection

postgres = puff.global_postgres()


def opened():
    answer = postgres.query("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'shop'")
    return answer[0]["n"]


def eventually(condition):
    for _ in range(2000):
        if condition():
            return True
        puff.sleep(0.01)
    return False


def pid(seconds):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), pg_sleep(%s)", [seconds])
        return cursor.fetchone()[0]


def hold(done):
    mine = pid(0)
    done.wait()
    return mine
"""

FILES = {
    "settings.py": SETTINGS,
    "shop/__init__.py": "",
    "shop/models.py": MODELS,
    "shop/urls.py": URLS,
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_hstore.py": MIGRATION,
    "common.py": COMMON,
    "wsgi.py": "import common\nfrom django.core.wsgi import get_wsgi_application\n"
    "application = get_wsgi_application()\n",
    "manage.py": "import os, sys\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"
    "from django.core.management import execute_from_command_line\n"
    "execute_from_command_line(sys.argv)\n",
}


def environment() -> dict[str, str]:
    """With Django on the path."""
    return {"PYTHONPATH": str(packages(tools()))}


@dataclass(frozen=True)
class Shop:
    """The project in a folder."""

    folder: Path
    puff: Run

    def make(self) -> None:
        """Writes its files."""
        (self.folder / "shop" / "migrations").mkdir(parents=True)
        for name, text in FILES.items():
            (self.folder / name).write_text(text)

    def run(self, name: str, source: str, host: str = "puff") -> str:
        """Runs `main` of a module with the names of `common` in it, in either host; what it printed."""
        module = f"program_{name.translate(str.maketrans('[]-', '___'))}"
        text = f"from common import *\n{textwrap.dedent(source)}\nif __name__ == '__main__':\n    main()\n"
        (self.folder / f"{module}.py").write_text(text)
        if host == "puff":
            done = self.puff("run", f"{module}.main", cwd=self.folder, env=environment())
        else:
            done = subprocess.run(
                [sys.executable, f"{module}.py"],
                cwd=self.folder,
                env=clean_environment(**environment()),
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
