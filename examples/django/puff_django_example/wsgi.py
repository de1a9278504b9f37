"""The WSGI application that `runserver` serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "puff_django_example.settings")

application = get_wsgi_application()
