"""The Python API for notebooks: runs, their partitions, models, tables and charts."""
