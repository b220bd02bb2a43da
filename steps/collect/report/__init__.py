"""The report: all partitions of a run in one HTML file without JavaScript."""

from steps.charts.tables import Reader
from steps.collect.report.page import RunInfo, build_report
from steps.collect.report.profile import ProfileInfo, build_profile

__all__ = ["ProfileInfo", "Reader", "RunInfo", "build_profile", "build_report"]
