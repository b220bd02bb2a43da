"""The split step: from one table to a dataset of partitions."""
