"""Object storage by URI: the port, and one adapter per scheme."""
