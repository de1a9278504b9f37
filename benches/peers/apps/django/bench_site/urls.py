"""The routes; GraphQL only where it is asked for, because it imports much."""

import os

from django.urls import path
from polls.views import data, questions

urlpatterns = [path("questions", questions), path("data", data)]
if os.environ.get("BENCH_STRAWBERRY"):
    from blog.schema import view
    from polls.schema import view as polls

    urlpatterns += [path("graphql", view), path("polls", polls)]
