"""gunicorn settings for its gevent worker: psycopg2 made co-operative by psycogreen."""


def post_fork(server, worker):
    from psycogreen.gevent import patch_psycopg

    patch_psycopg()
