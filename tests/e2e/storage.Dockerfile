# The storage emulator of overlays/local, for clusters without a registry: the same version, from its package on PyPI.
FROM python:3.11-slim-bookworm
COPY --chmod=755 fake-gcs-server-linux-amd64 /bin/fake-gcs-server
ENTRYPOINT ["/bin/fake-gcs-server"]
