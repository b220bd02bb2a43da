"""The experiment spec: its model, how it is loaded, validated and drafted."""
