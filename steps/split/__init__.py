"""The split step: from one table to a data set of partitions."""
