"""The OpenAPI description holds: what it promises is answered, whatever is asked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from scrapy_imgpipe import SettingError
from tests.service.conftest import PHOTO, ROOT

#: For each operation.
EXAMPLES = 100
OPERATIONS = 7


@pytest.fixture(scope="module")
def operations(server):
    server.upload(PHOTO.read_bytes())
    schema = schemathesis.openapi.from_url(f"{server.url}/schema/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


def test_every_answer_is_one_that_is_described(operations, server):
    assert len(operations) == OPERATIONS
    for operation in operations:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
            | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
        )
        def holds(case):
            # No schema can say what bytes are an image.
            may_refuse = [positive_data_acceptance] * (case.method == "POST")
            case.call_and_validate(excluded_checks=may_refuse)

        holds()
    assert server.health()["status"] == "ok"


def test_every_status_that_occurs_is_described(server):
    paths = server.client.get("/schema/openapi.json").json()["paths"]
    upload = paths["/images"]["post"]
    assert {*upload["responses"]} >= {"200", "201", "202", "400", "403", "408", "413", "415", "503"}
    assert {*upload["requestBody"]["content"]} == {"image/*", "multipart/form-data"}
    assert "307" in paths["/images/{image_id}/{name}"]["get"]["responses"]


def test_the_service_does_without_scrapy():
    code = "import sys, service.app; print({'scrapy', 'twisted'} & {*sys.modules})"
    out = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "example_project",
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "environment",
    [
        {"SERVICE_WORKERS": "0"},
        {"SERVICE_JOBS": "many"},
        {"IMGPIPE_RENDITIONS": "{"},
        {"IMGPIPE_RENDITIONS": '{"original": {"width": 5}}'},
        {"IMGPIPE_RENDITIONS": '{"a": {"width": 5, "format": "source"}}'},
        {"IMGPIPE_RENDITIONS": '{"a": {"width": 5, "steps": ["none"]}}'},
    ],
)
def test_a_wrong_setting_stops_the_start_in_one_sentence(environment):
    from service.settings import Settings

    with pytest.raises(SettingError, match=r"Expected .* but received"):
        Settings.of(environment)


@pytest.mark.parametrize("name", ["a/b", ".", "..", "", "original", "x" * 101, "a\n", ".imgpipe-a"])
def test_a_name_that_has_no_address_is_refused(name):
    from service.settings import Settings

    with pytest.raises(SettingError, match=r"without '/' .*but received") as caught:
        Settings.of({"IMGPIPE_RENDITIONS": json.dumps({name: {"width": 5}})})
    assert "\n" not in str(caught.value)
