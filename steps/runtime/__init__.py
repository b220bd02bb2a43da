"""What a running step needs: log, progress, attempts, threads."""
