"""Sources: where the rows come from."""
