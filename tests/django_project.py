"""A small Django project for whole-stack tests: notes, on the private server of its folder."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tools import packages, tools

FILES = {
    "manage.py": """
        import os
        import sys


        def main():
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_of_notes.settings")
            os.environ["FROM_MANAGE"] = "yes"
            from django.core.management import execute_from_command_line

            execute_from_command_line(sys.argv)


        if __name__ == "__main__":
            main()
        """,
    "site_of_notes/__init__.py": "",
    "site_of_notes/settings.py": """
        import os
        from pathlib import Path

        BASE_DIR = Path(__file__).parent.parent
        DEBUG = os.environ.get("DEBUG", "1") == "1"
        ALLOWED_HOSTS = os.environ.get("HOSTS", "").split()
        SECRET_KEY = "not one"
        DATABASES = {
            "default": {
                "ENGINE": "puff.contrib.django.postgresql",
                "CONN_MAX_AGE": int(os.environ.get("MAX_AGE", "0")),
            }
        }
        INSTALLED_APPS = [
            *os.environ.get("APPS_BEFORE", "").split(),
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.staticfiles",
            "notes",
        ]
        MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
        ROOT_URLCONF = "site_of_notes.urls"
        TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
        STATIC_URL = "/static/"
        STATIC_ROOT = BASE_DIR / "collected"
        LOCALE_PATHS = [BASE_DIR / "locale"]
        USE_TZ = True
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        """,
    "site_of_notes/urls.py": """
        from django.urls import path
        from notes import views

        urlpatterns = [path("", views.index), path("count", views.count), path("broken", views.broken)]
        """,
    "notes/__init__.py": "",
    "notes/apps.py": """
        from django.apps import AppConfig


        class NotesConfig(AppConfig):
            name = "notes"
        """,
    "notes/models.py": """
        from django.db import models


        class Note(models.Model):
            title = models.CharField(max_length=50)
        """,
    "notes/views.py": """
        from django.http import HttpResponse
        from django.shortcuts import render
        from notes.models import Note

        WORD = "first"


        def index(request):
            return render(request, "notes/index.html", {"word": WORD})


        def count(request):
            return HttpResponse(str(Note.objects.count()))


        def broken(request):
            raise ValueError("broken on purpose")
        """,
    "notes/templates/notes/index.html": "<p>{{ word }}</p>",
    "notes/static/notes/style.css": "p { color: teal }",
    "notes/management/__init__.py": "",
    "notes/management/commands/__init__.py": "",
    "notes/management/commands/write_notes.py": """
        import puff
        from django.core.management.base import BaseCommand, CommandError
        from django.db import connection
        from notes.models import Note


        def write(title):
            Note.objects.create(title=title)


        class Command(BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("titles", nargs="+")
                parser.add_argument("--fail", type=int)
                parser.add_argument("--sleep", type=float)

            def handle(self, *, titles, fail, sleep, **options):
                puff.join_all([puff.spawn(write, title) for title in titles])
                if fail:
                    raise CommandError("asked to fail", returncode=fail)
                self.stdout.write(f"{len(titles)} written")
                self.stdout.flush()
                if sleep:
                    puff.sleep(sleep)
        """,
    "notes/migrations/__init__.py": "",
    "notes/migrations/0001_initial.py": """
        from django.db import migrations, models


        class Migration(migrations.Migration):
            initial = True
            operations = [
                migrations.CreateModel(
                    name="Note",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("title", models.CharField(max_length=50)),
                    ],
                )
            ]
        """,
    "locale/de/LC_MESSAGES/django.po": """
        msgid ""
        msgstr "Content-Type: text/plain; charset=UTF-8\\n"

        msgid "note"
        msgstr "Notiz"
        """,
}


def make(folder: Path, **more: str) -> Path:
    """Writes the project, and other files or other contents of these; the folder."""
    for name, text in {**FILES, **more}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
    return folder


def environment(**more: str) -> dict[str, str]:
    """The variables that a process of the project needs."""
    return {"PYTHONPATH": str(packages(tools())), **more}
