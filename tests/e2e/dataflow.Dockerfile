# The fake of Dataflow for the tests: runs jobs as processes in the image of the real workers.
FROM docker.io/refeed/worker:dev
COPY dataflow.py dataflow_worker.py /opt/refeed/lib/python3.11/site-packages/tests/fakes/
ENTRYPOINT ["python", "-m", "tests.fakes.dataflow"]
