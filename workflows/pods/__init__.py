"""Steps in pods: configured by command line and environment, with files as outputs."""
