"""The rewrite of the CMake files that ROS 2 wheels bring."""

from __future__ import annotations

from pathlib import Path

from rewrite_ros_cmake import rewrite_prefix, rewrite_text

EXPORTED = """set_target_properties(std_msgs::std_msgs__rosidl_generator_py PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp311/include/python3.11;/opt/python/cp311/lib/numpy/_core/include"
)
set(own "${_IMPORT_PREFIX}/include/python3.11" "${_IMPORT_PREFIX}/include/std_msgs")
"""


def test_both_paths_point_at_this_environment_and_relative_ones_stay() -> None:
    text = rewrite_text(EXPORTED, "/usr/include/python3.12", "/venv/numpy/core/include")
    assert '"/usr/include/python3.12;/venv/numpy/core/include"' in text
    assert '"${_IMPORT_PREFIX}/include/python3.11" "${_IMPORT_PREFIX}/include/std_msgs"' in text
    assert "/opt/python" not in text


def test_second_rewrite_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "share" / "std_msgs" / "cmake" / "export.cmake"
    path.parent.mkdir(parents=True)
    path.write_text(EXPORTED)
    untouched = path.with_name("other.cmake")
    untouched.write_text("set(nothing 1)\n")
    includes = ("/usr/include/python3.11", "/venv/numpy/core/include")
    assert rewrite_prefix(tmp_path, *includes) == [path]
    first = path.read_text()
    assert rewrite_prefix(tmp_path, *includes) == []
    assert path.read_text() == first


def test_numpy_installed_later_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "share" / "export.cmake"
    path.parent.mkdir(parents=True)
    path.write_text(EXPORTED)
    rewrite_prefix(tmp_path, "/a/include/python3.11", "/a/numpy/core/include")
    rewrite_prefix(tmp_path, "/b/include/python3.12", "/b/numpy/_core/include")
    assert '"/b/include/python3.12;/b/numpy/_core/include"' in path.read_text()
