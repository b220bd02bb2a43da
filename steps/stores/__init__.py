"""The experiment store: the port, and one adapter per kind."""
