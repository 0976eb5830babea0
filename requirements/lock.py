"""Pin the core, the development and the build requirements with pip-compile, torch apart.

torch is installed first and alone, because its CPU build comes from an index of its own; so it
must not stand in the other lists, nor must the CUDA packages that its default build asks for.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
HEADER = "# Pinned by `make lock`; torch stands in torch.txt.\n"


def compile_pins(*arguments: str) -> list[str]:
    """Name==version lines that pip-compile resolves from pyproject.toml."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "pins.txt"
        subprocess.run(
            [
                *(sys.executable, "-m", "piptools", "compile", "--quiet", "--strip-extras"),
                *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
                *("--constraint", str(HERE / "torch.txt"), "--output-file", str(output)),
                *(*arguments, str(HERE.parent / "pyproject.toml")),
            ],
            check=True,
        )
        lines = output.read_text().splitlines()
    return [line for line in lines if not re.match(r"(torch|nvidia-.*|triton)==", line)]


def main() -> None:
    """Write core.txt, dev.txt, which holds only what the former lacks, and build.txt."""
    core = compile_pins()
    (HERE / "core.txt").write_text(HEADER + "\n".join(core) + "\n")
    known = ("--constraint", str(HERE / "core.txt"))
    dev = compile_pins("--extra", "dev", *known)
    extra = [line for line in dev if line not in set(core)]
    (HERE / "dev.txt").write_text(HEADER + "\n".join(extra) + "\n")
    build = compile_pins("--all-build-deps", "--only-build-deps", *known)
    (HERE / "build.txt").write_text(HEADER + "\n".join(build) + "\n")


if __name__ == "__main__":
    main()
