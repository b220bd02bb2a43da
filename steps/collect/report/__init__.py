"""The report: all partitions of a run side by side, in one HTML file without JavaScript."""

from steps.charts.tables import Reader
from steps.collect.report.page import build_report
from steps.collect.report.profile import ProfileFacts, build_profile
from steps.collect.report.run_info import RunFacts

__all__ = ["ProfileFacts", "Reader", "RunFacts", "build_profile", "build_report"]
