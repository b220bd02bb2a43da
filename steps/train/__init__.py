"""The train step: fits, evaluates and explains the partitions of one shard."""
