"""The cities of the world by name: those in the tree, and random ones made on demand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from aln_p3_core.cache import cache_folder
from aln_p3_core.errors import ConfigError
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.netconvert import build_network
from aln_p3_core.world.city.street_plan import STYLES, draw_plan
from aln_p3_core.world.city.sumo_net import SumoCity, read_sumo_net

_NETWORKS = Path(__file__).parent / "networks"
_RANDOM_NAME = re.compile(r"random-(\d+)")


@dataclass(frozen=True, slots=True)
class CityInfo:
    """A city of the tree.

    Attributes:
        name: such as "alder-town".
        split: "train", "val", "heldout" or "mini": where recordings of it belong.
        style, seed: of its street plan (`street_plan.draw_plan`).
        description: in a few words.
    """

    name: str
    split: str
    style: str
    seed: int
    description: str


def _cities(*rows: tuple[str, str, str, int, str]) -> Mapping[str, CityInfo]:
    return MappingProxyType({row[0]: CityInfo(*row) for row in rows})


#: Every city in the tree. scripts/build_cities.py builds their networks from style and seed.
CITIES: Mapping[str, CityInfo] = _cities(
    ("alder-town", "train", "grid", 0, "regular blocks, one avenue"),
    ("birch-field", "train", "arterial", 0, "one six-lane road across small streets"),
    ("cedar-ring", "train", "spider", 0, "roads from a centre, two rings"),
    ("dogwood-hill", "train", "random", 0, "grown streets"),
    ("elm-court", "train", "grid", 1, "regular blocks, two avenues"),
    ("fir-cross", "train", "arterial", 1, "six lanes and crossing avenues"),
    ("gorse-round", "train", "spider", 1, "many arms around a centre"),
    ("hazel-end", "train", "random", 1, "grown streets, long roads"),
    ("iris-bridge", "val", "grid", 2, "regular blocks"),
    ("juniper-gate", "val", "random", 2, "grown streets"),
    ("larch-haven", "heldout", "spider", 2, "roads from a centre"),
    ("maple-port", "heldout", "arterial", 2, "six lanes across small streets"),
    ("oak-dale", "heldout", "random", 3, "grown streets"),
    ("poplar-green", "mini", "grid", 3, "regular blocks"),
)


def cities_of(split: str) -> tuple[str, ...]:
    """Names of a split's cities.

    Raises:
        ConfigError: when there is no such split.
    """
    names = tuple(info.name for info in CITIES.values() if info.split == split)
    if not names:
        raise ConfigError(f"no cities for split {split!r}; choose one of train, val, heldout, mini")
    return names


def network_file(name: str) -> Path:
    """The SUMO network of a city: in the tree, or (for "random-<seed>") in the cache, built when it is missing.

    Raises:
        ConfigError: when there is no such city, or a random one cannot be built here.
    """
    if name in CITIES:
        return _NETWORKS / f"{name}.net.xml.gz"
    match = _RANDOM_NAME.fullmatch(name)
    if match is None:
        raise ConfigError(f"no city {name!r}; choose random-<seed> or one of {', '.join(CITIES)}")
    file = cache_folder() / "cities" / f"{name}.net.xml.gz"
    if not file.is_file():
        seed = int(match[1])
        build_network(draw_plan(STYLES[seed % len(STYLES)], 1000 + seed), file)
    return file


@lru_cache(maxsize=8)
def load_sumo_city(name: str) -> SumoCity:
    """A city with what ties it to SUMO: its network file, signal links, lane and crossing ids."""
    return read_sumo_net(network_file(name), name)


def load_city(name: str) -> CityMap:
    """A city's map. The same object for the same name, as long as it is in use."""
    return load_sumo_city(name).city
