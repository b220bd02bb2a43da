"""The split step: divide a table into a dataset of partitions."""
