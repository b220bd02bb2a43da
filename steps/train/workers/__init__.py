"""Worker processes: the pool, the worker, and the history of attempts."""
