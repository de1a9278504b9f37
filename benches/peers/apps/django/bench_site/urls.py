"""The routes; GraphQL only where it is asked for, because it imports much."""

import os

from django.urls import path
from polls.views import questions

urlpatterns = [path("questions", questions)]
if os.environ.get("BENCH_STRAWBERRY"):
    from blog.schema import view

    urlpatterns.append(path("graphql", view))
