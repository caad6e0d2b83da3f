# The operator. Any Debian with Python 3.11 and its venv module does as BASE.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /source
RUN python3 -m venv /opt/modelward
# What it depends on changes seldom: a layer of its own.
COPY pyproject.toml constraints.txt ./
RUN /opt/modelward/bin/python -c "import tomllib; \
project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies']['operator'], sep='\n')" > requirements.txt \
 && /opt/modelward/bin/pip install --no-cache-dir --disable-pip-version-check --requirement requirements.txt --constraint constraints.txt
COPY README.md ./
COPY operator operator
COPY charts/modelward/policies charts/modelward/policies
RUN /opt/modelward/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
 && /opt/modelward/bin/pip uninstall --yes setuptools pip

FROM ${BASE}
COPY --from=build /opt/modelward /opt/modelward
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 65532:65532
WORKDIR /
EXPOSE 8080
ENTRYPOINT ["/opt/modelward/bin/python", "-m", "modelward.runtime"]
