"""The GraphQL schema that `runserver` serves beside the pages, with Django set up for it."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "puff_django_example.settings")
django.setup()

from polls.schema import Schema  # noqa: E402  (models need settings)

__all__ = ["Schema"]
