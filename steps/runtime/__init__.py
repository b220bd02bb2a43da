"""Runtime support of the steps: log, progress, attempts, threads, lost artifacts."""
