"""Builds the networks of the cities that come with the package. Needs SUMO's netconvert (pip install eclipse-sumo).

python scripts/build_cities.py [NAME ...]
"""

import sys

from aln_p3_core.world.city.cities import CITIES, network_file
from aln_p3_core.world.city.netconvert import build_network
from aln_p3_core.world.city.street_plan import draw_plan


def main() -> None:
    """Builds the named cities, or all of them."""
    for name in sys.argv[1:] or CITIES:
        info = CITIES[name]
        file = network_file(name)
        build_network(draw_plan(info.style, info.seed), file)
        print(f"{name}: {info.style} {info.seed}, {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
