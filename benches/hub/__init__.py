"""What Puff's greenlets cost beside gevent's, on the same Python."""
