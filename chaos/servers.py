"""Servers of our own, on spare ports of this machine, that faults are tried on."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.provider import spare_port

# PostgreSQL and PgBouncer refuse to run as root.
IS_ROOT = os.geteuid() == 0
AS_POSTGRES = (
    {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": "/"} if IS_ROOT else {}
)
# Nothing here outlives the machine, only processes, so nothing waits for the disk.
POSTGRES_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
"""


def listening(port: int):
    """Return when somebody listens there."""
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(port)


def postgres_program(name) -> Path:
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2]))
    return newest[-1] / name if newest else Path(shutil.which(name))


class PostgreSQL:
    def __init__(self, directory: Path, primary: "PostgreSQL | None" = None):
        self.data, self.port = directory / "data", spare_port()
        give_to_postgres(directory)
        if primary:
            copy = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
            self.run(
                "pg_basebackup", *copy, f"--dbname=postgresql://pollstr@127.0.0.1:{primary.port}"
            )
        else:
            self.run("initdb", "--username=pollstr", "--auth=trust", "--encoding=UTF8", "--no-sync")
        with (self.data / "postgresql.conf").open("a") as config:
            config.write(f"{POSTGRES_SETTINGS}port = {self.port}\n")

    def run(self, program, *arguments):
        command = [postgres_program(program), "-D", self.data, *arguments]
        # Not with a pipe, which a server that is started would keep open.
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60, **AS_POSTGRES)

    def url(self, database="pollstr", port=None) -> str:
        return f"postgres://pollstr@127.0.0.1:{port or self.port}/{database}"

    def start(self):
        self.run("pg_ctl", "-w", "-l", self.data / "log", "start")

    def stop(self, mode="immediate"):
        self.run("pg_ctl", "-w", "-m", mode, "stop")

    def create(self, database, template="template0"):
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)


def give_to_postgres(directory: Path):
    if IS_ROOT:
        shutil.chown(directory, "postgres", "postgres")


class Redis:
    def __init__(self):
        self.port, self.process = spare_port(), None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        listening(self.port)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)


BOUNCER_SETTINGS = """
[databases]
* = host=127.0.0.1 port={postgres}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {directory}/users
logfile = {directory}/log
pool_mode = transaction
default_pool_size = 3
"""


@contextmanager
def pgbouncer(directory: Path, postgres: PostgreSQL):
    """Run PgBouncer with fewer connections than the site has threads; yield its port."""
    port = spare_port()
    settings = {"port": port, "postgres": postgres.port, "directory": directory}
    (directory / "pgbouncer.ini").write_text(BOUNCER_SETTINGS.format(**settings))
    (directory / "users").write_text('"pollstr" ""\n')
    give_to_postgres(directory)
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    process = subprocess.Popen([program, "--quiet", directory / "pgbouncer.ini"], **AS_POSTGRES)
    try:
        listening(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)
