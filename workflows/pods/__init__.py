"""What runs in a pod: each step, told by its command line and environment, leaving files behind."""
