"""Random cron expressions, valid and not, and the verdicts of Argo's own library on them.

``robfig.jsonl`` holds cases with what robfig/cron v3.0.1 makes of them, written by

    python -m tests.schedule.expressions

with Go, and with the time zones of the package tzdata.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path

from workflows.spec.schedule.cron import FIELDS, CronError, CronField

HERE = Path(__file__).parent
RECORDED = HERE / "robfig.jsonl"
COUNT = 1000
RUNS = 4
NOISE = "0123456789*/,?-#LWHabcmonsatjan@+\xa0"
WORDS = ("@daily", "@hourly", "@weekly", "@monthly", "@yearly", "@midnight", "@annually")
WRONG_WORDS = (
    *("@every 1h", "@every 1h30m", "@Daily", "@reboot", "TZ=UTC 0 6 * * 1", "TZ=UTC", ""),
    *("0 6 31 2 *", "0 0 30 Feb ?", "0 12 31 4,6,9,11 *", "* * 31 2 */2", "0 0 29 2 *"),
)
ZONES = (
    *("UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "America/Sao_Paulo"),
    # Clocks that change at midnight, by half an hour, or in autumn for Ramadan.
    *("Africa/Cairo", "Asia/Beirut", "America/Havana", "America/Santiago", "America/Asuncion"),
    *("Australia/Lord_Howe", "Pacific/Chatham", "Africa/Casablanca"),
)
BEGIN, END = 1_450_000_000, 1_640_000_000
"""From 2016 to 2021: the past, which a new version of the time zones does not change."""


@dataclass(frozen=True)
class Case:
    """An expression, its first runs after a moment, and the parser's error if it has none."""

    cron: str
    zone: str
    after: int
    count: int = RUNS
    error: str = ""
    runs: list[int] = field(default_factory=list)


def recorded() -> list[Case]:
    """Return the cases of ``robfig.jsonl``."""
    return [Case(**json.loads(line)) for line in RECORDED.read_text().splitlines()]


def expression(rng: random.Random, *, wrong: bool) -> str:
    """Return a random expression; ``wrong`` mixes in values that no parser accepts."""
    if rng.random() < 0.05:
        return rng.choice(WRONG_WORDS if wrong else WORDS)
    tokens = [_list(rng, each, wrong) if rng.random() < 0.7 else "*" for each in FIELDS]
    if wrong and rng.random() < 0.03:
        tokens = rng.choice([tokens[:4], [*tokens, "*"]])
    return " ".join(tokens)


def _list(rng: random.Random, each: CronField, wrong: bool) -> str:
    return ",".join(_item(rng, each, wrong) for _ in range(rng.choice((1, 1, 1, 2, 3))))


def _item(rng: random.Random, each: CronField, wrong: bool) -> str:
    if wrong and rng.random() < 0.08:
        return "".join(rng.choice(NOISE) for _ in range(rng.randint(0, 4)))
    text = rng.choice(("*", "?", _value(rng, each, wrong), _range(rng, each, wrong)))
    return f"{text}/{rng.randint(0 if wrong else 1, 20)}" if rng.random() < 0.3 else text


def _range(rng: random.Random, each: CronField, wrong: bool) -> str:
    first, last = _value(rng, each, wrong), _value(rng, each, wrong)
    try:
        backwards = each.number(first) > each.number(last)
    except CronError:
        backwards = False
    turned = backwards and not (wrong and rng.random() < 0.3)
    return f"{last}-{first}" if turned else f"{first}-{last}"


def _value(rng: random.Random, each: CronField, wrong: bool) -> str:
    beyond = int(wrong and rng.random() < 0.05)
    value = rng.randint(each.low - beyond, each.high + beyond)
    named = 0 <= value - each.low < len(each.names)
    if named and rng.random() < 0.3:
        name = each.names[value - each.low]
        return rng.choice((name, name.upper(), name.title()))
    return str(value) if rng.random() < 0.9 else f"{value:02d}"


def _cases() -> list[Case]:
    rng = random.Random(20261129)
    return [
        Case(expression(rng, wrong=rng.random() < 0.5), rng.choice(ZONES), rng.randint(BEGIN, END))
        for _ in range(COUNT)
    ]


def main() -> None:
    """Write ``robfig.jsonl``."""
    lines = "\n".join(json.dumps(asdict(case)) for case in _cases())
    zones = {"ZONEINFO": str(files("tzdata").joinpath("zoneinfo"))}
    done = subprocess.run(
        ["go", "run", "."],
        cwd=HERE / "robfig",
        input=lines,
        env=os.environ | zones,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    RECORDED.write_text(done.stdout)


if __name__ == "__main__":
    main()
