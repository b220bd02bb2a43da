"""Run time: what the containers of a run do, and what they share."""
