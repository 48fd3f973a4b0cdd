"""The annotated example says every key, with its default."""

from pathlib import Path

import msgspec
from msgspec.structs import replace

from proxy.configuration.config import Configuration, load_configuration

EXAMPLE = Path(__file__).parents[1] / "config" / "svcproxy.yaml"


def test_it_is_the_default_configuration_with_a_directory_of_manifests() -> None:
    assert load_configuration(str(EXAMPLE)) == replace(Configuration(), manifests=("./manifests",))


def test_it_mentions_every_key() -> None:
    lines = [line.removeprefix("# ") for line in EXAMPLE.read_text().splitlines()]
    keys = {field.encode_name for field in msgspec.structs.fields(Configuration)}
    assert {key for key in keys if not any(line.startswith(f"{key}:") for line in lines)} == set()
