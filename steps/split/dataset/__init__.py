"""The dataset: its plan, part files, statistics and index."""
