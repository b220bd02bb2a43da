"""The experiment spec: its model, and how it is loaded, validated and drafted."""
