"""Puff for Django: `postgresql` is a database `ENGINE`, `cache.RedisCache` a cache `BACKEND`."""
