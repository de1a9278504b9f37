"""Puff as an app of a Django project."""

from django.apps import AppConfig

from puff.compat import asgiref


class PuffConfig(AppConfig):  # type: ignore[misc]
    """`"puff.contrib.django"` among the installed apps, before `"django.contrib.staticfiles"`.

    It makes `python manage.py runserver` Puff's, and lets requests wait for `async def` views as greenlets,
    as the database `ENGINE` does. Commands that `puff django` runs do not need it.
    """

    name = "puff.contrib.django"
    label = "puff"
    verbose_name = "Puff"

    def ready(self) -> None:
        """Django has all its apps."""
        asgiref.install()
