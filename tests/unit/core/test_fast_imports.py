"""Start-up without torch's compiler: what is not there, and that everything that wants it still works."""

import json
import subprocess
import sys

import pytest

# Modules are imported once, so each case needs a process without the compiler: a fork of one that has imported timm.
SCRIPT = """
import json, os, sys, traceback
from stages.core.fast_imports import import_timm
timm = import_timm()
answers = {}
for name, code in json.load(sys.stdin).items():
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.dup2(writer, 1), os.dup2(writer, 2)
        try:
            exec(code)
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        output = stream.read()
    answers[name] = os.waitpid(child, 0)[1], output
print(json.dumps(answers))
"""
CASES = {
    "no compiler": "print(timm.__name__, sorted({'torch._dynamo', 'torch._inductor', 'sympy'} & set(sys.modules)))",
    "spared": """
import torch
from stages.core.fast_imports import spare_compiler
spare_compiler()
spare_compiler()
for kind, options in ((torch.optim.SGD, {"momentum": 0.9}), (torch.optim.Adam, {}), (torch.optim.AdamW, {})):
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = kind([weight], lr=0.1, **options)
    optimizer.load_state_dict(optimizer.state_dict())
    for _ in range(2 if options else 1):
        optimizer.zero_grad()
        (2 * weight).backward()
        optimizer.step()
    print(f"{weight.item():.4f}")
torch.use_deterministic_algorithms(True, warn_only=True)
print(torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
print("torch._dynamo" in sys.modules)
""",
    # By an optimizer, and by its name; the one function that torchvision was given stands for the compiler's own.
    "compiler": """
import torch
torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1).step()
assert "torch._dynamo" in sys.modules
from torchvision.ops import roi_align
import torch._dynamo.utils
assert torch._dynamo.utils.counters is not None
given = sys.modules["torchvision.ops.roi_align"].is_compile_supported
assert given("cpu") == torch._dynamo.utils.is_compile_supported("cpu")
""",
    "region": "import torch; from torchvision.ops import roi_align; "
    "print(roi_align(torch.full((1, 1, 8, 8), 3.0), torch.tensor([[0.0, 1, 1, 5, 5]]), 2).flatten().tolist())",
}


@pytest.fixture(scope="module")
def answers():
    """Case -> status and output of its process."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], input=json.dumps(CASES), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_timm_comes_without_the_compiler(answers):
    assert answers["no compiler"] == [0, "timm []\n"]


@pytest.mark.slow
def test_optimizers_step_and_the_deterministic_mode_is_set_without_the_compiler(answers):
    """SGD: 1 - .1 * 2 = .8, then .8 - .1 * (.9 * 2 + 2) = .42; Adam: 1 - .1; AdamW: 1 * (1 - .1 * .01) - .1."""
    assert answers["spared"] == [0, "0.4200\n0.9000\n0.8990\nTrue True\nFalse\n"]


@pytest.mark.slow
def test_compiler_is_there_for_who_asks_for_it(answers):
    status, output = answers["compiler"]
    assert status == 0, output


@pytest.mark.slow
def test_aligned_region_of_a_constant_map_is_constant(answers):
    assert answers["region"] == [0, "[3.0, 3.0, 3.0, 3.0]\n"]
