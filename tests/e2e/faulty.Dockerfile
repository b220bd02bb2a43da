# The faulty trainer of the tests as an image: what containers/README.md says of a plug-in, without pip.
FROM docker.io/refeed/linear:dev
COPY . /opt/refeed/lib/python3.11/site-packages/
