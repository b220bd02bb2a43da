"""Schedules: cron expressions and time zones, as Argo reads them."""
