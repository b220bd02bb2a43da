"""Names of the members of a segment.

A name identifies its content: members of the same name have equal bytes, except records of failed
partitions, of which any one is valid.
"""

from __future__ import annotations

from dataclasses import dataclass


def fit_member(key: str) -> str:
    """Metrics of a fit, by cache key."""
    return f"fit/{key}.json"


def skip_member(key: str) -> str:
    """The reason why there is nothing to fit, by the cache key of the fit."""
    return f"skip/{key}.json"


def fold_models_member(key: str) -> str:
    """A zip archive of the models of all folds."""
    return f"fold-models/{key}.zip"


def final_model_member(key: str, suffix: str) -> str:
    """The model fitted on all rows, in its library's own format."""
    return f"model/{key}{suffix}"


def model_card_member(key: str) -> str:
    """A description of the final model."""
    return f"model-card/{key}.md"


def explanation_member(key: str) -> str:
    """Importance, partial dependence and SHAP of one partition."""
    return f"explanation/{key}.json"


def comparison_member(key: str) -> str:
    """Losses of a partition's models and of the base model on the same rows."""
    return f"comparison/{key}.json"


def is_model(name: str) -> bool:
    """Return whether a member is a model or a model card, which the collect step does not read."""
    return name.startswith(("fold-models/", "model/", "model-card/"))


def cache_key_of(name: str) -> str | None:
    """Return the cache key in a member's name; None if it belongs to a run."""
    kind, _, rest = name.partition("/")
    return None if kind in {"record", "attempt"} else rest.partition(".")[0]


def run_of(name: str) -> tuple[str, str] | None:
    """Return experiment and run in a member's name; None if it belongs to no run."""
    kind, *rest = name.split("/")
    return (rest[0], rest[1]) if kind in {"record", "attempt"} else None


@dataclass(frozen=True)
class RunMembers:
    """Names of the members that belong to one run.

    Attributes:
        experiment: experiment of the run.
        run: its id.
        generation: how often it was retried. A retry begins a generation, in which partitions that
            failed in an earlier one have no record and no history.
    """

    experiment: str
    run: str
    generation: int = 0

    @property
    def records(self) -> str:
        """The prefix of all records of the run."""
        return f"record/{self.experiment}/{self.run}/"

    def record(self, partition_id: str, *, final: bool) -> str:
        """How training ended for one partition. A record that is final outlives retries."""
        state = "final" if final else "failed"
        return f"{self.records}{self.generation:03d}-{state}/{partition_id}.json"

    def parse_record(self, name: str) -> tuple[str, bool] | None:
        """Return partition and whether the record is final; None if it is not valid any more."""
        if not name.startswith(self.records):
            return None
        folder, _, file = name.removeprefix(self.records).partition("/")
        generation, _, state = folder.partition("-")
        if state != "final" and int(generation) != self.generation:
            return None
        return file.removesuffix(".json"), state == "final"

    def attempts(self, shard: str = "") -> str:
        """The prefix of all attempts of the run, or of one shard."""
        folder = f"attempt/{self.experiment}/{self.run}/"
        return f"{folder}{shard}/" if shard else folder

    def attempt(self, shard: str, partition_id: str, number: int, content: str) -> str:
        """The end of an attempt at a partition; content is a digest of it."""
        folder = f"{self.attempts(shard)}{self.generation:03d}"
        return f"{folder}/{partition_id}-{number:03d}-{content}.json"

    @staticmethod
    def generation_of(attempt: str) -> int:
        """Return the generation in an attempt's name."""
        return int(attempt.split("/")[4])
