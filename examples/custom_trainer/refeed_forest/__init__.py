"""A random forest trainer for Refeed."""
