"""Tests that run at the same time do not hear each other."""

from __future__ import annotations

from replay_helpers import DOMAINS, own_domains


def test_the_processes_of_a_run_share_no_domain() -> None:
    shares = [
        own_domains(1000 + 7 * number, {"PYTEST_XDIST_WORKER": f"gw{number}", "PYTEST_XDIST_WORKER_COUNT": "3"})
        for number in range(3)
    ]
    assert sorted(domain for share in shares for domain in share) == list(DOMAINS)
    assert min(map(len, shares)) >= 33


def test_a_process_alone_has_all_and_begins_where_another_does_not() -> None:
    assert sorted(own_domains(1, {})) == list(DOMAINS)
    assert own_domains(1, {})[0] != own_domains(2, {})[0]


def test_a_process_that_stands_in_for_one_that_crashed_has_domains_too() -> None:
    given = {"PYTEST_XDIST_WORKER": "gw5", "PYTEST_XDIST_WORKER_COUNT": "2"}
    assert len(own_domains(1, given)) == 50
