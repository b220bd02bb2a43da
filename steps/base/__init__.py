"""The base step: models of all partitions together, one per fold."""
