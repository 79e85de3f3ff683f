"""Start-up without torch's compiler: what is not there, and that everything that wants it still works."""

import subprocess
import sys

import pytest

START = "import sys; from stages.core.fast_imports import import_timm; timm = import_timm(); "


def run(code):
    """In a process of its own: modules are imported once."""
    return subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, check=False)


def test_timm_comes_without_the_compiler():
    done = run("print(timm.__name__, sorted({'torch._dynamo', 'torch._inductor', 'sympy'} & set(sys.modules)))")
    assert (done.stdout.strip(), done.returncode) == ("timm []", 0), done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import torch; torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1).step()",
        "import torch._dynamo.utils as utils; assert utils.counters is not None",
        # The one function that torchvision was given stands for the compiler's own.
        "from torchvision.ops import roi_align as f; import torch._dynamo.utils as u; "
        "g = sys.modules['torchvision.ops.roi_align'].is_compile_supported; assert g('cpu') == u.is_compile_supported('cpu')",
    ],
)
def test_compiler_is_there_for_who_asks_for_it(code):
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_aligned_region_of_a_constant_map_is_constant():
    code = (
        "import torch; from torchvision.ops import roi_align; "
        "print(roi_align(torch.full((1, 1, 8, 8), 3.0), torch.tensor([[0.0, 1, 1, 5, 5]]), 2).flatten().tolist())"
    )
    done = run(code)
    assert done.stdout.strip() == "[3.0, 3.0, 3.0, 3.0]", done.stderr
