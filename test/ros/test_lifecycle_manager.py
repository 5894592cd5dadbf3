"""The manager: brings nodes to active, tries again within bounds, and tells what failed."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from driver_helpers import WAIT_S, Spinner, StraightModel, change_state
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from aln_p3_core.errors import CheckpointError, ConfigError
from aln_p3_ros import lifecycle_manager
from aln_p3_ros.driver_node import DriverNode
from aln_p3_ros.lifecycle_manager import LifecycleManager, ManagerSettings
from aln_p3_ros.resources import share_path


@contextmanager
def managed(context: Context, factory: Callable[[Any], Any], **settings: Any) -> Iterator[tuple[Any, Any]]:
    """A manager and a driver node, spinning."""
    values = {"nodes": ["driver_node"], "retry_delay_s": 0.0, "watch_period_s": 0.1, **settings}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    manager = LifecycleManager(context=context, parameter_overrides=overrides)
    driver = DriverNode(
        driver_factory=factory, context=context, parameter_overrides=[Parameter("diagnostics_rate_hz", value=20.0)]
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(manager)
    executor.add_node(driver)
    spinner = Spinner(executor)
    try:
        yield manager, driver
    finally:
        manager.stop()
        spinner.stop()
        driver.destroy_node()
        manager.destroy_node()


def test_the_page_tells_every_parameter_with_its_default() -> None:
    page = share_path("docs", "driver_node.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for field in dataclasses.fields(ManagerSettings):
        (row,) = (row for row in rows if f"`{field.name}`" in row.split("|")[1])
        names = [name.strip(" `") for name in row.split("|")[1].split(",")]
        told = row.split("|")[2].split(",")[names.index(field.name)].strip()
        default = "none: must be given" if field.name == "nodes" else str(field.default).lower().removesuffix(".0")
        assert told == default, field.name


def state_of(driver: DriverNode) -> str:
    return driver._state_machine.current_state[1]


def test_a_node_is_brought_to_active(ros_context: Context) -> None:
    with managed(ros_context, StraightModel) as (manager, driver):
        assert manager.bring_up() == ""
        assert state_of(driver) == "active"
        assert manager.bring_up() == "", "a node that is active already stays so"


def test_a_failed_transition_is_tried_again(ros_context: Context) -> None:
    calls = []

    def factory(settings: object) -> StraightModel:
        calls.append(1)
        if len(calls) == 1:
            raise CheckpointError("the disk is still asleep")
        return StraightModel()

    with managed(ros_context, factory, attempts=2) as (manager, driver):
        assert manager.bring_up() == ""
        assert len(calls) == 2 and state_of(driver) == "active"


def test_failure_is_bounded_and_tells_the_reason(ros_context: Context) -> None:
    calls = []

    def factory(settings: object) -> StraightModel:
        calls.append(1)
        raise CheckpointError("weights.safetensors is damaged")

    with managed(ros_context, factory, attempts=2) as (manager, driver):
        problem = manager.bring_up()
        assert problem.startswith("driver_node did not configure (2 attempts): ")
        assert "weights.safetensors is damaged" in problem
        assert len(calls) == 2 and state_of(driver) == "unconfigured"


def test_a_node_that_does_not_appear_is_named(ros_context: Context) -> None:
    with managed(ros_context, StraightModel, nodes=["nobody"], service_timeout_s=0.2) as (manager, _):
        assert "nobody has not appeared within 0.2 s" in manager.bring_up()


def test_a_node_that_leaves_active_is_noticed(ros_context: Context) -> None:
    with managed(ros_context, StraightModel) as (manager, _):
        assert manager.bring_up() == ""
        problems: list[str] = []
        thread = threading.Thread(target=lambda: problems.append(manager.watch()))
        thread.start()
        assert change_state(manager, "deactivate")
        thread.join(WAIT_S)
        assert problems == ["driver_node is no longer active"]


@pytest.mark.parametrize("method", ["bring_up", "watch"])
def test_stopping_ends_every_wait(ros_context: Context, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    hours = {"service_timeout_s": 3600.0, "watch_period_s": 60.0}
    with managed(ros_context, StraightModel, nodes=["nobody"], **hours) as (manager, _):
        waits, wait = threading.Event(), manager._stopped.wait

        def noted(*given: float) -> bool:
            waits.set()
            return wait(*given)

        monkeypatch.setattr(manager._stopped, "wait", noted)
        problems: list[str] = []
        thread = threading.Thread(target=lambda: problems.append(getattr(manager, method)()))
        thread.start()
        assert waits.wait(WAIT_S) and problems == []
        manager.stop()
        thread.join(WAIT_S)
        assert problems == [""], "being stopped is no failure"


def test_a_manager_of_nothing_is_refused(ros_context: Context) -> None:
    with pytest.raises(ConfigError, match="at least one node"):
        LifecycleManager(context=ros_context)


@pytest.mark.parametrize(
    ("value", "words"), [("nodes:=[a]", ""), ("attempts:=many", "attempts"), ("attempt:=3", "did you mean attempts")]
)
def test_parameters_that_do_not_fit_end_the_process_with_one_line(
    ros_domain: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    monkeypatch.setattr(lifecycle_manager, "call_on_signals", lambda stop: None)
    monkeypatch.setattr(LifecycleManager, "bring_up", lambda manager: "enough")
    with pytest.raises(SystemExit) as ended:
        lifecycle_manager.main(["--ros-args", "-p", "nodes:=[driver_node]", "-p", value])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert (said.startswith("lifecycle_manager: ") and words in said and said.count("\n") == 1) if words else not said
