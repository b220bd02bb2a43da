"""Sources: tables in files, object storage and BigQuery."""
