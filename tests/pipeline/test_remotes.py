"""A team shares what it made through a remote: a folder, S3, SSH, WebDAV, each with a real server on this machine.

The pipeline is the project's first three stages on one small source, so that a test takes seconds. SEAMLINE_REMOTES
names the kinds that are tested (`.ci/run`: folder s3); without it, all whose server is installed.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import servers
import yaml
from commands import run, succeed

pytestmark = pytest.mark.slow
CHOSEN = os.environ.get("SEAMLINE_REMOTES", " ".join(servers.KINDS)).split()
OTHER_SIZE = 0.25  # megabytes of a disk that is too small for the objects
NETWORK = ("s3", "ssh", "webdav")


@pytest.fixture
def start():
    """Starts a remote of a kind; skips one that was not chosen."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def started(kind, **options):
            if kind not in CHOSEN:
                pytest.skip(f"SEAMLINE_REMOTES names {', '.join(CHOSEN)}")
            return stack.enter_context(servers.remote(kind, **options))

        yield started


def configure(checkout, **settings):
    """Name the remote `store`, as ``dvc remote add --local --default`` and ``dvc remote modify --local`` do."""
    lines = ["[core]", "    remote = store", "['remote \"store\"']"]
    lines += [f"    {key} = {value}" for key, value in settings.items()]
    (checkout / ".dvc" / "config.local").write_text("\n".join(lines) + "\n")


def join(checkout, remote, **how):
    """Let a clone use a remote."""
    configure(checkout, **{"url": remote.url} | remote.settings(**how))


@pytest.fixture
def first(small, tmp_path):
    """The clone that reproduced; each test has its own."""
    return Path(shutil.copytree(small, tmp_path / "first", symlinks=True))


def second(first, remote, name="second"):
    """Another clone, on an empty cache."""
    folder = first.with_name(name)
    succeed("git", "clone", "--quiet", str(first), str(folder), cwd=first.parent)
    for key, value in (("user.name", "b"), ("user.email", "b@b.c")):
        succeed("git", "config", key, value, cwd=folder)
    join(folder, remote)
    return folder


def seamline(verb, *arguments, cwd, **environment):
    """Result of a verb."""
    return run("python", "-m", "stages.run", verb, *arguments, cwd=cwd, SEAMLINE_TRACKING="off", **environment)


def done(verb, *arguments, cwd, **environment):
    """Output of a verb that must succeed."""
    result = seamline(verb, *arguments, cwd=cwd, **environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def ran(checkout):
    """Stages that `dvc repro` runs, as it does."""
    output = succeed("dvc", "repro", cwd=checkout, SEAMLINE_TRACKING="off")
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def objects(checkout):
    """Path -> bytes of the objects in the cache of a clone."""
    cache = checkout / ".dvc" / "cache" / "files"
    return {path.relative_to(cache): path.read_bytes() for path in cache.rglob("*") if path.is_file()}


def message(result):
    """The only line that a failed command prints on standard error."""
    assert result.returncode == 1, result.stdout + result.stderr
    lines = [line for line in result.stderr.splitlines() if not line.startswith("store (")]
    assert len(lines) == 1 and lines[0].startswith("ERROR "), result.stderr
    assert "Nothing is lost" in lines[0]
    return lines[0]


@pytest.mark.parametrize("kind", servers.KINDS)
def test_a_clone_gets_what_another_made_runs_only_what_it_changes_and_gives_it_back(kind, start, first):
    remote = start(kind)
    join(first, remote)
    done("push", cwd=first)
    teammate = second(first, remote)
    done("pull", cwd=teammate)
    assert ran(teammate) == []
    assert objects(teammate) == objects(first)

    params = yaml.safe_load((teammate / "params.yaml").read_text())
    params["ingest"]["shoes"]["shards"] += 1
    (teammate / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert ran(teammate) == ["ingest@shoes", "boxes@shoes"]
    succeed("git", "commit", "--quiet", "--all", "-m", "one shard more", cwd=teammate)
    assert "sent 0 objects" not in done("push", cwd=teammate)

    succeed("git", "pull", "--quiet", str(teammate), cwd=first)
    done("pull", cwd=first)
    assert ran(first) == []
    shards = "data/demo/ingested/shoes"
    assert len(list((first / shards).glob("shard-*"))) == params["ingest"]["shoes"]["shards"]
    for path in (teammate / shards).iterdir():
        assert (first / shards / path.name).read_bytes() == path.read_bytes()
    assert "all 3 stages agree" in done("verify", "--remote", "store", cwd=first)


DIES_AFTER_THREE = """
import os, sys
import dvc_objects.fs.local as local

copied, copyfile = [], local.copyfile

def dying(source, target, **options):
    copied.append(target)
    if len(copied) == 4:
        with open(source, "rb") as whole, open(target, "wb") as half:
            half.write(whole.read()[: os.path.getsize(source) // 2])
        os.kill(os.getpid(), 9)
    copyfile(source, target, **options)

local.copyfile = dying
sys.argv = ["push"]
from stages.sharing.push import main
main()
"""


@pytest.mark.parametrize("kind", servers.KINDS)
def test_push_that_was_killed_halfway_is_completed_by_the_next(kind, start, first):
    remote = start(kind)
    join(first, remote)
    before = objects(first)
    if kind == "folder":
        killed = run(sys.executable, "-c", DIES_AFTER_THREE, cwd=first, PYTHONPATH=str(first)).returncode
    else:
        half = sum(map(len, before.values())) // 2
        with servers.Proxy(remote.port, limit=half) as proxy:
            join(first, remote, port=proxy.port)
            push = subprocess.Popen(
                ["python", "-m", "stages.run", "push", "--jobs", "2"], cwd=first, stderr=subprocess.PIPE, text=True
            )
            assert proxy.silent.wait(60), push.communicate()[1]
            time.sleep(0.5)
            push.send_signal(signal.SIGKILL)
            killed = push.wait()
        join(first, remote)
    assert killed == -9
    disagreement = seamline("verify", "--remote", "store", cwd=first)
    assert disagreement.returncode == 1
    assert "store" in disagreement.stdout and "`make push` sends it" in disagreement.stdout
    assert objects(first) == before
    done("push", cwd=first)
    teammate = second(first, remote)
    done("pull", cwd=teammate)
    assert objects(teammate) == before
    assert ran(teammate) == []


def fails(first, remote, words, **environment):
    """A push that must fail with one message and lose nothing; then the remote is well, and the next push does all."""
    before = objects(first)
    started = time.monotonic()
    told = message(seamline("push", cwd=first, **environment))
    assert words in told, told
    assert time.monotonic() - started < 60
    assert objects(first) == before
    return told


def works_again(first, remote):
    """The next push sends all, and a teammate gets it."""
    join(first, remote)
    done("push", cwd=first)
    teammate = second(first, remote)
    done("pull", cwd=teammate)
    assert objects(teammate) == objects(first)


@pytest.mark.parametrize("kind", NETWORK)
def test_wrong_credentials_are_one_message(kind, start, first):
    remote = start(kind)
    join(first, remote, wrong=True)
    fails(first, remote, "it refuses these credentials")
    assert "it refuses these credentials" in message(seamline("pull", cwd=first))


@pytest.mark.parametrize("kind", NETWORK)
def test_server_that_accepts_and_never_answers_is_one_message_within_the_limit(kind, start, first):
    remote = start(kind)
    with servers.Proxy(remote.port, limit=0) as proxy:
        join(first, remote, port=proxy.port)
        told = fails(first, remote, "does not answer", SEAMLINE_REMOTE_SECONDS="3")
        assert "SEAMLINE_REMOTE_SECONDS" in told


@pytest.mark.parametrize("kind", NETWORK)
def test_server_that_falls_silent_during_a_push_is_one_message(kind, start, first):
    remote = start(kind)
    with servers.Proxy(remote.port, limit=sum(map(len, objects(first).values())) // 2) as proxy:
        join(first, remote, port=proxy.port)
        fails(first, remote, "does not answer", SEAMLINE_REMOTE_SECONDS="2")
    works_again(first, remote)


@pytest.mark.parametrize("kind", NETWORK)
def test_server_that_is_away_is_one_message(kind, start, first):
    remote = start(kind)
    join(first, remote, port=servers.free_port())
    fails(first, remote, "nothing answers at that address")


@pytest.mark.parametrize("kind", ["s3", "webdav"])
def test_vanished_bucket_or_base_folder_is_one_message(kind, start, first):
    remote = start(kind)
    join(first, remote)
    done("push", cwd=first)
    remote.vanish()
    fails(first, remote, "there is no such bucket")
    assert "there is no such bucket" in message(seamline("pull", cwd=first))
    remote.come_back()
    works_again(first, remote)


@pytest.mark.parametrize("kind", ["folder", "ssh"])
def test_vanished_folder_is_filled_again(kind, start, first):
    remote = start(kind)
    join(first, remote)
    done("push", cwd=first)
    remote.vanish()
    works_again(first, remote)


@pytest.mark.parametrize("kind", servers.KINDS)
def test_full_remote_is_one_message(kind, start, first):
    remote = start(kind, megabytes=OTHER_SIZE)
    join(first, remote)
    if kind == "s3":
        (remote.folder / "full").touch()
    fails(first, remote, "it is full, or over its quota")
    if kind == "s3":
        (remote.folder / "full").unlink()
        works_again(first, remote)
    else:
        subprocess.run(["mount", "-o", "remount,size=64m", str(remote.folder)], check=True)
        works_again(first, remote)


def test_damaged_object_of_a_remote_is_not_taken_and_a_truncated_one_is_sent_again(start, first):
    remote = start("folder")
    join(first, remote)
    done("push", cwd=first)
    shard = max((remote.folder / "store" / "files").rglob("*"), key=lambda path: path.stat().st_size)
    whole = shard.read_bytes()
    shard.chmod(0o644)
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    teammate = second(first, remote)
    result = seamline("pull", cwd=teammate)
    assert result.returncode == 1 and "has them damaged" in result.stderr
    assert not (teammate / ".dvc/cache/files/md5" / shard.parent.name / shard.name).exists()

    shard.write_bytes(whole[:-1])
    assert "in another size" in seamline("verify", "--remote", "store", cwd=first).stdout
    assert "sent 2 objects" in done("push", cwd=first)  # the file, and the listing of its folder
    assert shard.read_bytes() == whole
    done("pull", cwd=teammate)
    assert objects(teammate) == objects(first)


def test_damaged_object_of_the_cache_is_not_sent(start, first):
    remote = start("folder")
    join(first, remote)
    damaged = max((first / ".dvc/cache/files/md5").rglob("*"), key=lambda path: path.stat().st_size)
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    result = seamline("push", cwd=first)
    assert result.returncode == 1 and "so it is not sent" in result.stderr
    assert not list((remote.folder / "store").rglob(damaged.name))


def test_after_gc_a_teammate_still_pulls_every_branch_and_what_no_commit_names_is_gone(start, first):
    remote = start("folder")
    join(first, remote)
    done("push", cwd=first)
    origin = first.with_name("origin.git")
    succeed("git", "clone", "--quiet", "--bare", str(first), str(origin), cwd=first.parent)
    succeed("git", "remote", "add", "origin", str(origin), cwd=first)

    def change(checkout, shards):
        params = yaml.safe_load((checkout / "params.yaml").read_text())
        params["ingest"]["shoes"]["shards"] = shards
        (checkout / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        assert "ingest@shoes" in ran(checkout)
        done("push", cwd=checkout)

    teammate = first.with_name("teammate")
    succeed("git", "clone", "--quiet", str(origin), str(teammate), cwd=first.parent)
    for key, value in (("user.name", "b"), ("user.email", "b@b.c")):
        succeed("git", "config", key, value, cwd=teammate)
    join(teammate, remote)
    done("pull", cwd=teammate)
    succeed("git", "checkout", "--quiet", "-b", "more", cwd=teammate)
    change(teammate, 3)
    succeed("git", "commit", "--quiet", "--all", "-m", "3 shards", cwd=teammate)
    succeed("git", "push", "--quiet", "origin", "more", cwd=teammate)
    change(teammate, 4)  # is never committed
    store = remote.folder / "store" / "files"
    stored = {path.name for path in store.rglob("*") if path.is_file()}

    # As docs/sharing.md has it; the branch `more` is at origin only.
    succeed("git", "fetch", "--quiet", "--all", "--tags", "--prune", cwd=first)
    succeed("dvc", "gc", "--all-commits", "--cloud", "--remote", "store", "--force", cwd=first)
    kept = {path.name for path in store.rglob("*") if path.is_file()}
    assert kept < stored
    for branch in ("main", "more"):
        clone = first.with_name(f"clone-{branch}")
        succeed("git", "clone", "--quiet", "--branch", branch, str(origin), str(clone), cwd=first.parent)
        join(clone, remote)
        done("pull", cwd=clone)
        assert ran(clone) == []


def test_everybody_reads_over_http_what_only_the_team_may_write(start, first):
    remote = start("s3")
    (remote.folder / "public").touch()
    configure(first, url=remote.url, acl="public-read", **remote.settings())
    done("push", cwd=first)
    teammate = second(first, remote)
    configure(teammate, url=f"{remote.endpoint}/seamline/team")
    done("pull", cwd=teammate)
    assert ran(teammate) == []
    assert "all 3 stages agree" in done("verify", "--remote", "store", cwd=teammate)
    params = yaml.safe_load((teammate / "params.yaml").read_text())
    params["ingest"]["shoes"]["shards"] += 1
    (teammate / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert ran(teammate) == ["ingest@shoes", "boxes@shoes"]
    assert "it refuses these credentials" in message(seamline("push", cwd=teammate))
