"""Puff for Django: `puff.contrib.django.postgresql` is a database `ENGINE`."""
