"""Submit, follow and find runs on a cluster."""
