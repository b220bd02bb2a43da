"""Trainers that misbehave on purpose."""
