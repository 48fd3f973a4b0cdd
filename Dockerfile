# docker build -t svcproxy . — the wheel is built in the first stage, and the second has what runs and nothing else.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
COPY config/demo config/demo
COPY config/example config/example
# --build-arg COMPILED=true compiles the hot modules: the same, with less processor time.
ARG COMPILED=false
RUN if [ "$COMPILED" = true ]; then apt-get -qq update && apt-get -qq install --no-install-recommends gcc libc6-dev; fi \
    && python -m venv /opt/svcproxy \
    && HATCH_BUILD_HOOK_ENABLE_MYPYC=$COMPILED /opt/svcproxy/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.13-slim
COPY --from=build /opt/svcproxy /opt/svcproxy
# A second interpreter, for Pods that are given these capabilities: Kubernetes hands them to root alone, or to a file that
# asks for them. The first one runs where they are dropped.
RUN cp "$(readlink -f /opt/svcproxy/bin/python)" /opt/svcproxy/bin/python-with-capabilities \
    && apt-get -qq update && apt-get -qq install --no-install-recommends libcap2-bin \
    && setcap cap_net_bind_service,cap_net_admin+ep /opt/svcproxy/bin/python-with-capabilities \
    && apt-get -qq purge libcap2-bin && rm -rf /var/lib/apt/lists/*
ENV PATH=/opt/svcproxy/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_STATE_HOME=/var/lib
# Kubernetes can hold runAsNonRoot against a number alone.
RUN install -d -o 65532 -g 65532 /var/lib/svcproxy
USER 65532:65532
EXPOSE 10256
STOPSIGNAL SIGTERM
ENTRYPOINT ["svcproxy"]
CMD ["run", "--in-cluster"]
