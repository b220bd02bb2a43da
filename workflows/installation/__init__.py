"""The installation file: images, resource classes, projects and their isolation."""
