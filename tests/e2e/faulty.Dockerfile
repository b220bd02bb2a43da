# The image of the tests' faulty trainer: a plug-in as in containers/README.md, copied instead of installed by pip.
FROM docker.io/refeed/linear:dev
COPY . /opt/refeed/lib/python3.11/site-packages/
