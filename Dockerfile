# The image of every service: receiver, worker, beat and the migration differ by their command only.
# Nothing secret is in it; everything about one installation comes from the environment and credits.toml.

FROM python:3.13-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/creditgate

# What we depend on changes less often than our own code: a layer of its own.
COPY pyproject.toml constraints.txt ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt \
    && /opt/creditgate/bin/pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt

COPY README.md LICENSE ./
COPY credits credits
COPY webhooks webhooks
COPY workers workers
RUN /opt/creditgate/bin/pip install --no-cache-dir --no-deps .


FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent creditgate
COPY --from=build /opt/creditgate /opt/creditgate
ENV PATH=/opt/creditgate/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /srv/creditgate
USER creditgate
EXPOSE 8000
ENTRYPOINT ["credits"]
CMD ["serve", "--host", "0.0.0.0"]
