"""Remotes with real servers on this machine: each on loopback, on a free port, with a folder and a config of its own.

A server runs until the ``with`` block ends. Started by root, SSH and WebDAV run as nobody. A server that is not
installed here skips the test that asks for it.
"""

import base64
import hashlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

KINDS = ("folder", "s3", "ssh", "webdav")
NOBODY = 65534
SECONDS = 20  # that a server may take to start
APACHE_MODULES = Path("/usr/lib/apache2/modules")


class Remote:
    """A place that DVC can use as a remote.

    Attributes:
        folder: of the server; ``folder / "store"`` holds the objects, but for S3, whose server keeps them in memory.
        port: where the server listens; None of a folder.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder, self.port = folder, port

    @property
    def url(self) -> str:
        """For ``dvc remote add``."""
        return str(self.folder / "store")

    def settings(self, port: int | None = None, wrong: bool = False) -> dict[str, str]:
        """For ``dvc remote modify --local``.

        Args:
            port: where to go instead, of a proxy.
            wrong: credentials that the server does not know.
        """
        return {}

    def vanish(self) -> None:
        """Remove the bucket, or the folder."""
        shutil.rmtree(self.folder / "store")

    def come_back(self) -> None:
        """Make it anew, empty."""
        make_store(self.folder)


class S3(Remote):
    """A bucket of moto's server, which checks signatures."""

    url = "s3://seamline/team"

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, port)
        import boto3

        self.endpoint = f"http://127.0.0.1:{port}"
        first = {"endpoint_url": self.endpoint, "region_name": "us-east-1",
                 "aws_access_key_id": "first", "aws_secret_access_key": "first"}  # fmt: skip
        iam = boto3.client("iam", **first)
        iam.create_user(UserName="team")
        policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
        iam.put_user_policy(UserName="team", PolicyName="all", PolicyDocument=policy)
        key = iam.create_access_key(UserName="team")["AccessKey"]
        self.key, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        reset = urllib.request.Request(f"{self.endpoint}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        urllib.request.urlopen(reset).close()  # from now on it checks signatures
        self.client = boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=self.key, aws_secret_access_key=self.secret
        )  # fmt: skip
        self.come_back()

    def settings(self, port=None, wrong=False):
        return {
            "endpointurl": f"http://127.0.0.1:{port or self.port}",
            "region": "us-east-1",
            "access_key_id": self.key,
            "secret_access_key": "wrong" if wrong else self.secret,
        }

    def vanish(self) -> None:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="seamline")
        for page in pages:
            for entry in page.get("Contents", []):
                self.client.delete_object(Bucket="seamline", Key=entry["Key"])
        self.client.delete_bucket(Bucket="seamline")

    def come_back(self) -> None:
        self.client.create_bucket(Bucket="seamline")


class Ssh(Remote):
    """A folder behind OpenSSH's sftp."""

    @property
    def url(self) -> str:
        return f"ssh://127.0.0.1{self.folder}/store"

    def settings(self, port=None, wrong=False):
        return {
            "port": str(port or self.port),
            "user": login(),
            "keyfile": str(self.folder.with_name("keys") / ("stranger" if wrong else "member")),
            "allow_agent": "false",
        }


class WebDav(Remote):
    """A folder behind Apache's mod_dav, with a password."""

    @property
    def url(self) -> str:
        return f"webdav://127.0.0.1:{self.port}/store"

    def settings(self, port=None, wrong=False):
        return {
            "url": f"webdav://127.0.0.1:{port or self.port}/store",
            "user": "member",
            "password": "wrong" if wrong else "secret",
        }


class Proxy:
    """Stands before a server, and lets only so many bytes through to it; then it keeps silent.

    Attributes:
        port: where it listens.
        limit: bytes that it lets through, over all connections; None for all.
        silent: set once the limit is reached.
    """

    def __init__(self, target: int, limit: int | None = 0) -> None:
        self.target, self.limit, self.passed = target, limit, 0
        self.silent, self.lock = threading.Event(), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.forward, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.forward, args=(server, client, False), daemon=True).start()

    def forward(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        """Pass on what comes, as far as the limit allows."""
        try:
            while data := source.recv(4096):
                if counted:
                    with self.lock:
                        if self.limit is not None and self.passed + len(data) > self.limit:
                            self.silent.set()
                            return  # the connection stays open, and nobody reads it
                        self.passed += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()


def login() -> str:
    """The user whom SSH lets in: the one that the server runs as."""
    import pwd

    return "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def running(command: list[str], port: int, folder: Path, as_nobody: bool) -> Iterator[None]:
    """A server, once it accepts connections; it is ended with the block."""
    with (folder / "server.log").open("wb") as log:
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if as_nobody and os.getuid() == 0 else {}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, **user)
    try:
        end = time.monotonic() + SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    text = (folder / "server.log").read_text()
                    raise AssertionError(f"{' '.join(command)} did not start:\n{text}") from None
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def small_disk(folder: Path, megabytes: float) -> Iterator[None]:
    """A file system of that size at ``folder``; skips where none may be mounted."""
    options = f"size={int(megabytes * 1024)}k,mode=777"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "seamline", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"needs a small file system, and may not mount one: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def remote(kind: str, megabytes: float | None = None) -> Iterator[Remote]:
    """A remote of this kind whose server runs; with ``megabytes``, its disk has no more than that.

    The size of S3's is nothing: there, a file ``full`` in ``folder`` makes the server answer as one over its quota.
    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seamline-")))
        folder = home / kind
        folder.mkdir()
        home.chmod(0o755)
        if megabytes is not None and kind != "s3":
            stack.enter_context(small_disk(folder, megabytes))
        yield stack.enter_context(STARTS[kind](folder))


@contextmanager
def start_folder(folder: Path) -> Iterator[Remote]:
    """A folder needs no server."""
    make_store(folder)
    yield Remote(folder)


@contextmanager
def start_s3(folder: Path) -> Iterator[S3]:
    """moto's server, with one user and one bucket."""
    needs("dvc_s3", "moto", "boto3")
    port = free_port()
    script = Path(__file__).with_name("s3_server.py")
    with running([sys.executable, str(script), str(port), str(folder)], port, folder, as_nobody=False):
        yield S3(folder, port)


@contextmanager
def start_ssh(folder: Path) -> Iterator[Ssh]:
    """OpenSSH's server with sftp alone, and two keys, one of which it knows."""
    needs("dvc_ssh")
    server = installed("sshd", "openssh-server")
    keys = folder.with_name("keys")
    keys.mkdir()
    for name in ("host", "member", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    shutil.copyfile(keys / "member.pub", keys / "authorized_keys")
    shutil.copyfile(keys / "host", folder / "host_key")
    (folder / "host_key").chmod(0o600)
    port = free_port()
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host_key\nPidFile none\nUsePAM yes\nStrictModes no\n"
        f"AuthorizedKeysFile {keys}/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "MaxStartups 100\nSubsystem sftp internal-sftp\n"
    )
    make_store(folder)
    with running([server, "-D", "-e", "-f", str(folder / "sshd_config")], port, folder, as_nobody=True):
        yield Ssh(folder, port)


@contextmanager
def start_webdav(folder: Path) -> Iterator[WebDav]:
    """Apache with mod_dav and one user."""
    needs("dvc_webdav")
    server = installed("apache2", "apache2")
    port = free_port()
    modules = "mpm_event authn_core authn_file auth_basic authz_core authz_user dav dav_fs"
    loads = "".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n" for name in modules.split())
    digest = base64.b64encode(hashlib.sha1(b"secret", usedforsecurity=False).digest()).decode()
    (folder / "passwords").write_text(f"member:{{SHA}}{digest}\n")
    (folder / "apache.conf").write_text(
        f"ServerRoot {folder}\nServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {folder}/apache.pid\n"
        f"ErrorLog {folder}/error.log\nDocumentRoot {folder}\n{loads}DavLockDB {folder}/locks\n"
        f"<Location />\nDav On\nAuthType Basic\nAuthName seamline\nAuthUserFile {folder}/passwords\n"
        "Require valid-user\n</Location>\n"
    )
    make_store(folder)
    with running([server, "-f", str(folder / "apache.conf"), "-DFOREGROUND"], port, folder, as_nobody=True):
        yield WebDav(folder, port)


STARTS = {"folder": start_folder, "s3": start_s3, "ssh": start_ssh, "webdav": start_webdav}


def make_store(folder: Path) -> None:
    """Make the store, and let the user whom the server runs as write there."""
    (folder / "store").mkdir()
    if os.getuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)


def needs(*packages: str) -> None:
    """Skip where a package of requirements-remotes.txt is not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: pip install -r requirements-remotes.txt")


def installed(program: str, package: str) -> str:
    """Path of a server's program; skips where Debian's package is not installed."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"needs {program}: apt-get install {package}")
    return path
