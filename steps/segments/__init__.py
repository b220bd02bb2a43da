"""Segments: immutable objects that hold the results of many partitions each."""
