"""Container images: one Dockerfile with targets, and one folder per trainer plug-in."""
