"""A cluster of Ray on this machine: machines that are processes here, on loopback, with a folder of their own in /tmp."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUNS = "ray::Worker.run"  # how Ray calls a worker's process while it computes an item
# Ray's name of the switch: without it, a cluster listens on the address of this machine in its network.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
SECONDS = 120  # that a worker may take to get an item, and processes to end


def processes(folder: Path) -> dict[int, str]:
    """Id -> command line of the processes of this cluster; workers have the ids of its raylets for parents."""
    commands = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (command := (entry / "cmdline").read_bytes().decode(errors="replace")):
                commands[int(entry.name)] = command.replace("\0", " ")
        except OSError:  # it has ended
            continue
    own = {pid: command for pid, command in commands.items() if str(folder) in command and pid != os.getpid()}
    return own | {pid: command for pid, command in commands.items() if parent(pid) in own}


def parent(pid: int) -> int | None:
    """The id of a process's parent; None: it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


class RayCluster:
    """Machines with one CPU each.

    Attributes:
        environment: of a process that uses it.
        folder: its logs and sockets.
    """

    def __init__(self, folder: Path, machines: int) -> None:
        from ray.cluster_utils import Cluster

        options = {"num_cpus": 1, "include_dashboard": False, "temp_dir": str(folder)}
        self._cluster = Cluster(True, head_node_args=options)
        for _ in range(machines - 1):
            self._cluster.add_node(num_cpus=1)
        self.folder = folder
        self.environment = LOOPBACK | {"RAY_ADDRESS": self._cluster.address}

    def kill_a_worker_that_computes(self) -> int:
        """Kill the process of a worker in the middle of an item; its id."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for pid in [pid for pid, command in processes(self.folder).items() if command.startswith(RUNS)]:
                os.kill(pid, signal.SIGSTOP)  # so that it is still at the item when it is killed
                if processes(self.folder).get(pid, "").startswith(RUNS):
                    os.kill(pid, signal.SIGKILL)
                    return pid
                os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)
        raise TimeoutError(f"no worker had an item for {SECONDS} seconds")

    def lose_a_machine_that_computes(self) -> None:
        """Kill all processes of a machine, but the first, whose worker is in the middle of an item."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            working = {parent(pid) for pid, command in processes(self.folder).items() if command.startswith(RUNS)}
            for node in sorted(self._cluster.worker_nodes, key=id):
                if {info.process.pid for info in node.all_processes["raylet"]} & working:
                    self._cluster.remove_node(node, allow_graceful=False)
                    return
            time.sleep(0.02)
        raise TimeoutError(f"no worker had an item for {SECONDS} seconds")

    def stop(self) -> None:
        """End all of its processes.

        Raises:
            TimeoutError: one goes on.
        """
        self._cluster.shutdown()
        end = time.monotonic() + SECONDS
        while left := processes(self.folder):
            if time.monotonic() > end:
                raise TimeoutError(f"these processes of the cluster did not end: {left}")
            time.sleep(0.1)


@contextmanager
def ray_cluster(machines: int) -> Iterator[RayCluster]:
    """A cluster until the ``with`` block ends."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # paths of sockets are short
    (folder / "ray").mkdir()  # for the address of the cluster; Ray itself makes /tmp/ray, but only for its default
    os.environ |= LOOPBACK | {"RAY_TMPDIR": str(folder)}
    try:
        cluster = RayCluster(folder, machines)
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
