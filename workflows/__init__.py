"""Compile time and command line: from a spec to runs of the steps."""
