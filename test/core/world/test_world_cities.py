"""The cities of the tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.city.cities import CITIES, cities_of, load_city, load_sumo_city, network_file
from aln_p3_core.world.city.street_plan import STYLES


def test_every_city_has_its_network_and_its_split() -> None:
    assert all(network_file(name).is_file() for name in CITIES)
    assert {info.style for info in CITIES.values()} == set(STYLES)
    splits = {split: set(cities_of(split)) for split in ("train", "val", "heldout", "mini")}
    assert all(splits.values())
    assert sum(len(names) for names in splits.values()) == len(CITIES) == len(set().union(*splits.values()))
    plans = {(info.style, info.seed) for info in CITIES.values()}
    assert len(plans) == len(CITIES), "two cities share a plan"


def test_a_city_is_read_once() -> None:
    assert load_city("oak-dale") is load_city("oak-dale")
    assert load_sumo_city("oak-dale").city.name == "oak-dale"


def test_unknown_names_are_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="alder-town"):
        network_file("nowhere")
    with pytest.raises(ConfigError, match="train, val, heldout, mini"):
        cities_of("test")


def test_random_cities_lie_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALN_P3_CACHE", str(tmp_path))
    file = tmp_path / "cities" / "random-3.net.xml.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(network_file("oak-dale").read_bytes())
    assert network_file("random-3") == file
