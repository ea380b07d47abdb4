"""Follow docs/deploy.md in a fresh Debian 13: ``python -m docs.follow_deploy`` as root.

Every ``sh`` block from "A plain Linux host" on is run in order, and every block with a file's
content is written to the path named before it. Then the commands of the other documents are run.
The first command that fails ends the run.

It needs debootstrap and some three minutes. ``REPLACED`` and ``SYSTEMCTL`` list what differs from a
real host: there is no public name, no certificate authority, and systemd is not the first process.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "deploy.md"
SUITE, MIRROR = "trixie", "http://deb.debian.org/debian"
# Python packages are downloaded through the same authorities as outside.
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
CERTIFICATE = "/etc/letsencrypt/live/polls.example.com/fullchain.pem"

# The same for commands of other documents, which name a user, a poll and the log of systemd.
ON_THIS_HOST = {
    "python manage.py": "sudo -u pollstr .venv/bin/python manage.py",
    " ada": " admin",
    " 7": " 1",
    "journalctl -u pollstr -o cat": "apt-get install --yes --quiet jq && cat /var/log/pollstr.log",
}

PASSWORD = "DJANGO_SUPERUSER_PASSWORD"

REPLACED = {
    "https://git.example.com/pollstr.git": "file:///srv/pollstr.git",
    # Nobody is there to answer its questions.
    "manage.py createsuperuser": "manage.py createsuperuser --noinput --username admin "
    "--email admin@example.com",
    # The site answers with the certificate that stands in for certbot's.
    "curl --fail": f"curl --cacert {CERTIFICATE} --fail",
}

# In place of certbot, which needs a name that the whole internet knows.
CERTBOT = """#!/bin/sh -eu
mkdir -p /etc/letsencrypt/live/polls.example.com
cd /etc/letsencrypt/live/polls.example.com
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=polls.example.com \
  -addext subjectAltName=DNS:polls.example.com -keyout privkey.pem -out fullchain.pem 2>/dev/null
"""

# In place of systemctl: it starts what a unit starts, as the unit's user.
SYSTEMCTL = r"""#!/usr/bin/python3
import configparser, os, pwd, shlex, signal, subprocess, sys, time

class Unit(configparser.RawConfigParser):
    def __init__(self, name):
        super().__init__(strict=False)
        self.optionxform = str
        self.commands, self.variables = [], {}
        for line in open(f"/etc/systemd/system/{name}"):
            key, _, value = line.strip().partition("=")
            value = value.replace("%%", "%")
            if key == "ExecStart":
                self.commands.append(shlex.split(value))
            if key == "Environment":
                name_, _, text = value.partition("=")
                self.variables[name_] = text
        self.read(f"/etc/systemd/system/{name}")

    def start(self):
        service = self["Service"]
        user = pwd.getpwnam(service["User"])
        env = {"PATH": os.environ["PATH"], "HOME": user.pw_dir, "LANG": "C.UTF-8"}
        where = {"env": env | self.variables, "cwd": service.get("WorkingDirectory", "/"),
                 "user": user.pw_uid, "group": user.pw_gid, "extra_groups": [],
                 "umask": int(service.get("UMask", "022"), 8)}
        if service.get("Type") == "oneshot":
            for command in self.commands:
                subprocess.run(command, check=True, **where)
            return
        log = open("/var/log/pollstr.log", "a")
        process = subprocess.Popen(self.commands[0], stdout=log, stderr=log,
                                   start_new_session=True, **where)
        open("/run/pollstr.pid", "w").write(str(process.pid))
        time.sleep(5)
        if process.poll() is not None:
            sys.exit(open("/var/log/pollstr.log").read())

verb, *rest = [word for word in sys.argv[1:] if word != "--now"]
if verb in {"start", "enable"} and not rest[0].endswith(".timer"):
    Unit(rest[0] if rest[0].endswith(".service") else f"{rest[0]}.service").start()
elif verb == "enable":
    assert open(f"/etc/systemd/system/{rest[0]}").read()
elif verb == "reload" and rest == ["nginx"]:
    is_running = subprocess.run(["pidof", "nginx"], stdout=subprocess.DEVNULL).returncode == 0
    subprocess.run(["nginx", *(["-s", "reload"] if is_running else [])], check=True)
elif verb == "reload":
    os.kill(int(open("/run/pollstr.pid").read()), signal.SIGHUP)
    time.sleep(5)
elif verb != "daemon-reload":
    sys.exit(f"systemctl {verb} is not known here")
"""

START_POSTGRESQL = (
    "pg_lsclusters --no-header | while read v c _; do pg_ctlcluster $v $c start; done"
)


def blocks() -> list[tuple[str, str, str]]:
    """Return each block of the Linux path: its language, the path of its file, its content."""
    text = GUIDE.read_text()
    text = text[text.index("## A plain Linux host") :]
    found, end = [], 0
    for block in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        paths = re.findall(r"`(/[\w./-]+)`", text[end : block.start()])
        found.append((block[1], paths[-1] if paths else "", block[2]))
        end = block.end()
    return found


def other_commands() -> list[str]:
    """Return the commands of the other documents as they are typed on this host."""
    found = []
    for name in ["operate.md", "two-factor.md", "voting.md"]:
        lines = re.findall(
            r"^    (python manage\.py .*|journalctl .*)$", (GUIDE.parent / name).read_text(), re.M
        )
        found += [line.partition("#")[0].strip() for line in lines]
    for words, others in ON_THIS_HOST.items():
        found = [command.replace(words, others) for command in found]
    return found


def settings_of(example: str) -> str:
    """Return the example's settings with something in each place that is left open."""
    fill = {
        "SECRET_KEY": "secret-key-of-the-guide-" + "s" * 40,
        "VOTER_KEY": "voter-key-of-the-guide-" + "v" * 40,
        "VONAGE_API_KEY": "abcd1234",
        "VONAGE_API_SECRET": "Secret-of-the-guide-1",
        "OPERATOR_EMAIL": "polls@example.com",
    }
    lines = [line.partition("=") for line in example.splitlines()]
    return "".join(
        f"{name}={fill.get(name, 'Example') if value == '…' else value}\n"
        for name, _, value in lines
    )


class Host:
    """A Debian in a folder. Its processes share the network of this machine."""

    def __init__(self, folder: Path):
        self.folder = folder

    def make(self):
        packages = "ca-certificates,adduser,systemd,openssl,procps"
        subprocess.run(
            [
                "debootstrap",
                f"--include={packages}",
                "--variant=minbase",
                SUITE,
                self.folder,
                MIRROR,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for kind in ["proc", "sys", "dev"]:
            subprocess.run(["mount", "--rbind", f"/{kind}", self.folder / kind], check=True)
            subprocess.run(["mount", "--make-rslave", self.folder / kind], check=True)
        # Packages start no services of their own accord.
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.write("/etc/hosts", f"127.0.0.1 localhost {socket.gethostname()} polls.example.com\n")
        shutil.copy("/etc/resolv.conf", self.folder / "etc/resolv.conf")
        shutil.copy(AUTHORITIES, self.folder / "etc/ssl/certs/ca-certificates.crt")
        repository = self.folder / "srv/pollstr.git"
        subprocess.run(
            ["git", "clone", "--quiet", "--bare", "--no-hardlinks", ROOT, repository], check=True
        )
        self.write("/etc/gitconfig", "[safe]\n\tdirectory = /srv/pollstr.git\n")

    def write(self, path: str, content: str, mode: int = 0o644):
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)

    def run(self, script: str):
        env = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
            PASSWORD: "A password for the guide 1",
        }
        command = ["chroot", self.folder, "/bin/sh", "-euxc", script]
        if subprocess.run(command, env=env, check=False).returncode:
            sys.exit("A command of docs/deploy.md failed: see above.")

    def follow(self):
        for language, path, content in blocks():
            if language != "sh":
                self.write(path, settings_of(content) if language == "env" else content)
                continue
            for words, others in REPLACED.items():
                content = content.replace(words, others)
            # sudo forgets the password of createsuperuser otherwise.
            if "createsuperuser" in content:
                content = content.replace("sudo", f"sudo --preserve-env={PASSWORD}")
            # PostgreSQL is started by its package on a real host.
            content = content.replace("adduser --system", f"{START_POSTGRESQL}\nadduser --system")
            self.run(content)
            if "apt-get install" in content:
                self.write("/usr/local/bin/systemctl", SYSTEMCTL, 0o755)
                self.write("/usr/local/bin/certbot", CERTBOT, 0o755)

    def check(self):
        """See that what was set up is what the guide promises."""
        units = " ".join(path for _, path, _ in blocks() if path.startswith("/etc/systemd/"))
        self.run(f"systemd-analyze verify {units}")
        self.run(f"curl --cacert {CERTIFICATE} --fail --silent https://polls.example.com/readyz")
        self.run("test $(find /srv/pollstr/backup -name '*.dump' -size +10k | wc -l) = 1")
        admin = "from django.contrib.auth.models import User; assert User.objects.get().is_staff"
        python = "cd /srv/pollstr/site && sudo -u pollstr .venv/bin/python"
        self.run(f'{python} manage.py shell -c "{admin}"')
        self.run(f"{python} manage.py loaddata demo")
        for command in other_commands():
            self.run(f"cd /srv/pollstr/site && {command}")

    def end(self):
        # By its number: a name would end the site's processes outside of the folder, too.
        started = self.folder / "run/pollstr.pid"
        if started.exists():
            os.kill(int(started.read_text()), signal.SIGTERM)
        subprocess.run(["chroot", self.folder, "nginx", "-s", "stop"], check=False)
        stop = START_POSTGRESQL.replace("start;", "stop --mode immediate;")
        subprocess.run(["chroot", self.folder, "/bin/sh", "-c", stop], check=False)
        for kind in ["proc", "sys", "dev"]:
            subprocess.run(["umount", "--recursive", "--lazy", self.folder / kind], check=False)


def main():
    if os.geteuid() or not shutil.which("debootstrap"):
        sys.exit("This needs root and debootstrap (Debian: debootstrap).")
    folder = Path(tempfile.mkdtemp(prefix="pollstr-deploy-"))
    folder.chmod(0o755)
    host = Host(folder)
    try:
        host.make()
        host.follow()
        host.check()
    finally:
        host.end()
    shutil.rmtree(folder)
    print("Every command of docs/deploy.md worked.")


if __name__ == "__main__":
    main()
