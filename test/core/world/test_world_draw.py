"""Sets of routes and recorded episodes: sizes, spread, and nothing shared between splits."""

from __future__ import annotations

from collections import Counter

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.city.cities import CITIES, cities_of
from aln_p3_core.world.scenarios import ROUTE_SETS, SCENARIOS, draw_episode, make_episode, open_stage, route_set
from aln_p3_core.world.weather import Condition

SPLITS = ("train", "val", "heldout", "mini")


def test_all_is_ten_free_drives_and_one_of_each_scenario() -> None:
    episodes = route_set("all", 3, split="val")
    counts = Counter(episode.scenario for episode in episodes)
    assert len(episodes) == 60
    assert counts.pop("free_driving") == 30
    assert set(counts) == set(SCENARIOS) - {"free_driving"}
    assert set(counts.values()) == {3}
    assert {episode.city for episode in episodes} == set(cities_of("val"))


@pytest.mark.parametrize("name", list(ROUTE_SETS))
def test_more_seeds_only_add_routes(name: str) -> None:
    one, two = route_set(name, 1, split="heldout"), route_set(name, 2, split="heldout")
    assert one == two[: len(one)]
    assert len(two) == 2 * len(one) == 2 * len(ROUTE_SETS[name])
    assert len({episode.name for episode in two}) == len(two)


def test_splits_share_neither_cities_nor_seeds() -> None:
    seeds: set[int] = set()
    cities: set[str] = set()
    for split in SPLITS:
        episodes = route_set("all", 2, split=split) + [draw_episode(split, 0, number) for number in range(50)]
        assert {CITIES[episode.city].split for episode in episodes} == {split}
        own = {episode.seed for episode in episodes}
        assert len(own) == len(episodes)
        assert seeds.isdisjoint(own)
        assert cities.isdisjoint({episode.city for episode in episodes})
        seeds |= own
        cities |= {episode.city for episode in episodes}


def test_recordings_are_a_mixture() -> None:
    episodes = [draw_episode("train", 1, number) for number in range(300)]
    assert {episode.scenario for episode in episodes} == set(SCENARIOS)
    assert {episode.city for episode in episodes} == set(cities_of("train"))
    assert {episode.weather.condition for episode in episodes} == set(Condition)
    assert 0.25 < Counter(e.scenario for e in episodes)["free_driving"] / len(episodes) < 0.55
    assert episodes[7] == draw_episode("train", 1, 7)
    assert draw_episode("train", 2, 7) != episodes[7]


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="no set of routes"):
        route_set("some", 1, split="val")
    with pytest.raises(ConfigError, match="no cities for split"):
        route_set("all", 1, split="test")
    with pytest.raises(ConfigError, match="at least one seed"):
        route_set("all", 0, split="val")
    with pytest.raises(ConfigError, match="no scenario"):
        make_episode("drifting", "iris-bridge", 1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_recorded_free_driving_turns_to_both_sides_soon(side: str) -> None:
    asked = [episode for episode in (draw_episode("train", 0, n) for n in range(60)) if episode.settings]
    assert {episode.scenario for episode in asked} == {"free_driving"}
    chosen = [episode for episode in asked if dict(episode.settings) == {"first_turn": side}]
    assert len(chosen) >= 5
    for episode in chosen[:3]:
        stage = open_stage(episode)
        stage.traffic.close()
        begin, _, command = stage.route.turns[0]
        assert (command.name.lower(), begin < 90.0) == (side, True)
