"""Coordination of runs that build the same dataset."""
