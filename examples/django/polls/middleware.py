"""What a visitor sees when PostgreSQL is away."""

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

log = logging.getLogger(__name__)


class DatabaseAway:
    """Answers 503 where the database cannot be asked: a page that says so, and when to come back.

    Django would make it a 500, with a traceback in the log for each request.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, (OperationalError, InterfaceError)):
            return None
        log.error("503 %s: %s", request.path, str(error).strip().split("\n")[0])
        # Without the request, whose user and messages would ask the database again.
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
