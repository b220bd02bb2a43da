"""One folder per image: a Dockerfile and at most one trainer plug-in."""
