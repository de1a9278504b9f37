"""Commands of Redis through Puff's pool, beside redis-py under gevent."""
