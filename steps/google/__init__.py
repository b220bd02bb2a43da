"""Google Cloud's clients, each loaded when a spec asks for it."""
