"""The cluster as ``submit`` sees it: one small port, and an adapter for each way to reach Argo."""
