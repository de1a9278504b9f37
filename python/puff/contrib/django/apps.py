"""Puff as an app of a Django project."""

from django.apps import AppConfig


class PuffConfig(AppConfig):  # type: ignore[misc]
    """`"puff.contrib.django"` among the installed apps, before `"django.contrib.staticfiles"`.

    It makes `python manage.py runserver` Puff's. Commands that `puff django` runs do not need it.
    """

    name = "puff.contrib.django"
    label = "puff"
    verbose_name = "Puff"
