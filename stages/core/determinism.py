"""Everything that makes two runs, or two x86-64 machines, compute the same bytes.

``start_process`` sets the environment before numpy or torch is imported, ``seed_everything`` seeds
the generators and fixes torch's thread count. Which pins are on comes from params ``runtime``.
"""

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from stages.core.files import parse_yaml

# Each of these was seen to change result bits between machines with and without AVX-512.
_INSTRUCTION_SET = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
}
# Threads that wait for each other spin for microseconds, then sleep; torch's default is to spin for milliseconds.
# A training of 13.6 s shared the cores with two busy programs: it took 70 s by default, 32 s with a count of 500 and
# 39 s with 2,000. Without other programs, no count is slower (docs/performance.md).
_WAITING = {"GOMP_SPINCOUNT": "1000"}
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# Freed memory stays with its process, in huge pages: torch asks for the same large blocks at every step, and their page
# faults are expensive on a virtual machine (a forward pass took up to three times as long). Results do not change.
_ALLOCATOR = ":".join(
    f"glibc.malloc.{name}" for name in ("hugetlb=1", "mmap_max=0", "trim_threshold=17179869184", "top_pad=67108864")
)

# No telemetry, no update checks, no downloads that nobody asked for.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "LIGHTLY_DID_VERSION_CHECK": "True",
    "GIT_PYTHON_REFRESH": "quiet",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


SAME_BYTES = ("engine", "gpus")  # keys of section ``runtime`` that only say where data stages run
_runtime: dict[str, Any] | None = None  # of this process


def use_runtime(runtime: Mapping[str, Any] | None) -> None:
    """Set section ``runtime`` of the params for this process; None = forget it.

    A stage passes the section that it has read. Only where no stage has done so is the file read in this module: before
    any import, to pin the process, and in processes that libraries start.
    """
    global _runtime
    _runtime = None if runtime is None else dict(runtime)


def runtime_params() -> dict[str, Any]:
    """Section ``runtime`` that this process computes with; empty without a params file (which is checked later)."""
    if _runtime is None:
        use_runtime(_runtime_of(Path("params.yaml")))
    return dict(_runtime or {})


def computing_params() -> dict[str, Any]:
    """Section ``runtime`` without what changes no byte."""
    return {key: value for key, value in runtime_params().items() if key not in SAME_BYTES}


def _runtime_of(path: Path) -> dict[str, Any]:
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    runtime = content.get("runtime") if isinstance(content, dict) else None
    return runtime if isinstance(runtime, dict) else {}


def pins() -> dict[str, str]:
    """The variables that pin instruction set and threads of libraries, and keep them quiet."""
    runtime = runtime_params()
    result = _QUIET | _WAITING
    if runtime.get("pin_instruction_set") and platform.machine() in ("x86_64", "AMD64"):
        result |= _INSTRUCTION_SET
    if threads := runtime.get("threads"):
        result |= {name: str(threads) for name in _THREAD_VARIABLES}
    return result


def pin_process() -> None:
    """Pin instruction set, threads and allocator of libraries that are not imported yet, and of child processes."""
    os.environ.update(pins())
    os.environ.setdefault("GLIBC_TUNABLES", _ALLOCATOR)
    # Ultralytics writes its settings here instead of into the home folder.
    os.environ.setdefault("YOLO_CONFIG_DIR", str(Path(".work/ultralytics").absolute()))


def start_process() -> None:
    """Pin this process (``pin_process``), and restart it if a pin is only read when a process starts.

    Python reads the hash seed then, and the C library the allocator. A restart takes 20 ms.
    """
    ready = os.environ.get("PYTHONHASHSEED") == "0" and "GLIBC_TUNABLES" in os.environ
    pin_process()
    if not ready:
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, sys.orig_argv)


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch, fix torch's threads, and ask for deterministic algorithms."""
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    fix_threads()
    if runtime_params().get("deterministic"):
        # As use_deterministic_algorithms(True, warn_only=True) does, without two seconds of importing the compiler.
        torch.set_deterministic_debug_mode("warn")
        torch.backends.cudnn.benchmark = False


def fix_threads() -> None:
    """Set torch's, OpenCV's and Arrow's thread counts to params ``runtime.threads``.

    Ultralytics resets torch's when it selects the CPU, so this is called again after it.
    """
    threads = runtime_params().get("threads")
    if not threads:
        return
    import torch

    torch.set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].set_cpu_count(threads)


def device() -> str:
    """Where models run: ``SEAMLINE_DEVICE`` if set, else the CPU when runs must repeat, else a GPU if any."""
    if chosen := os.environ.get("SEAMLINE_DEVICE"):
        return chosen
    if runtime_params().get("deterministic"):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
