"""The steps as they run in a pod, configured by command line and environment."""
