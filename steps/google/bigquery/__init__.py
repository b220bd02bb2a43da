"""BigQuery as a source of rows: the one package that imports Google's BigQuery clients."""
