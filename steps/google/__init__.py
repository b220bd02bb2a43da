"""Google Cloud's clients, each imported when a spec uses it."""
