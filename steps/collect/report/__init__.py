"""The report: all partitions of a run side by side, in one HTML file without JavaScript."""

from steps.collect.report.data import Reader
from steps.collect.report.facts import RunFacts
from steps.collect.report.page import build_report
from steps.collect.report.profile import ProfileFacts, build_profile

__all__ = ["ProfileFacts", "Reader", "RunFacts", "build_profile", "build_report"]
