"""Arrow tables: canonical types, row hashes, summaries, part files. Shared by the steps."""
