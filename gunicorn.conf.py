"""How gunicorn serves Pollstr. It takes PORT and WEB_CONCURRENCY from the environment itself."""

import gc

# Reads requests without a thread, so that slow clients stop nobody (pollstr/gunicorn_worker.py has
# its limits). gunicorn's own workers wait for a client in the thread that serves it.
worker_class = "pollstr.gunicorn_worker.BufferingWorker"
# A thread that waits for Vonage, at most VONAGE_TIMEOUT seconds, keeps nobody else waiting.
# Each thread keeps a database connection: two workers stay below the 20 of a small PostgreSQL.
threads = 8

# Seconds. Heroku's router drops an idle connection after 90, so ours must live longer; it gives
# up on an answer after 30, and so many after SIGTERM it kills.
keepalive = 95
timeout = 20
graceful_timeout = 20

# Whether X-Forwarded-Proto is believed is for TRUSTED_PROXIES to say, not for gunicorn.
forwarded_allow_ips = ""
# Nothing uses it, and it would write into the home directory.
control_socket_disable = True
# There is no access log: it would keep who voted when, by address. The site logs each request
# itself, and leaves the address out (pollstr/logs.py).
accesslog = None
logger_class = "pollstr.gunicorn_worker.JsonLogger"

# Nothing that is loaded becomes garbage, and to look for some takes a good part of the start.
gc.disable()


def when_ready(server):
    """With --preload, as in the Procfile: let workers share the memory of code for long.

    Not where a reload (HUP) is to bring a new release, as in docs/deploy.md under systemd: what
    was loaded once stays. So does what the master always loads: a new gunicorn, waitress or
    pollstr/gunicorn_worker.py comes with a restart only.
    """
    if server.cfg.preload_app:
        # The heaviest part of the SDK loads quickest; the rest of it comes with the first code.
        import cryptography.hazmat.primitives.asymmetric.rsa  # noqa: F401
        from django.db import connections

        # No two workers may have one connection.
        connections.close_all()
        # A collection writes into what it looks at, and what is written to is shared no more.
        gc.freeze()


def post_worker_init(worker):
    gc.freeze()
    gc.enable()
