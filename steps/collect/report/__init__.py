"""The report: all partitions of a run side by side, in one HTML file without JavaScript."""

from steps.charts.tables import Reader
from steps.collect.report.page import RunFacts, build_report
from steps.collect.report.profile import ProfileFacts, build_profile

__all__ = ["ProfileFacts", "Reader", "RunFacts", "build_profile", "build_report"]
