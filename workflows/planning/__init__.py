"""From a checked spec to a run: request, run files, shards, cost and estimate."""
