"""What obstore's clients are told: patience, credentials, region and endpoint.

It looks into the environment for all that it is not told, also next to credentials that it is
told; so it is told all that botocore would not look for there. No request is sent here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from scrapy_imgpipe.stores.access import MOST_PAUSE_SECONDS, PAUSE_GROWTH, Access
from scrapy_imgpipe.stores.s3 import region_of
from scrapy_imgpipe.stores.texts import check_endpoint, endpoint_of_environment, verify_of

#: A request may take so many times as long as the server may be silent.
_WHOLE: Final = 10

#: botocore's name for a variable that has it pass over endpoints in environment and profile.
_IGNORED: Final = "ignore_configured_endpoint_urls"


def patience_of(access: Access, times: int = 0) -> dict[str, Any]:
    """Return options of a client for short bodies, or for one of *times* MiB to be sent.

    The time without a word of the server begins with the request, not when it is sent: there
    is none where much is sent, but one for all of it.
    """
    seconds = timedelta(seconds=access.timeout_seconds)
    verify = verify_of(access.aws_verify)
    options: dict[str, Any] = {
        "connect_timeout": seconds,
        "allow_invalid_certificates": verify is False,
    }
    if times:
        whole = seconds * times
        options["timeout"] = whole
    else:
        whole = seconds * _WHOLE
        options |= {"timeout": whole, "read_timeout": seconds}
    if isinstance(verify, str):
        with open(verify, "rb") as file:  # noqa: PTH123
            options["root_certificate"] = file.read()
    first = max(access.first_pause_seconds, 0.001)  # of 0 there is no range to choose from
    longest = timedelta(seconds=max(MOST_PAUSE_SECONDS, first))
    retries = {
        "max_retries": access.retries,
        "backoff": {
            "init_backoff": timedelta(seconds=first),
            "max_backoff": longest,
            "base": PAUSE_GROWTH,
        },
        "retry_timeout": (access.retries + 1) * (whole + longest),
    }
    return {"client_options": options, "retry_config": retries}


def found_by_botocore(access: Access) -> dict[str, Any]:
    """Return credentials, region and endpoint as botocore has them: profiles, sign-on, ...

    Where it is not there, or finds none, the environment counts, and obstore looks by itself.

    Raises:
        ValueError: its files are wrong, or have no such profile.
        SettingError: the endpoint in the environment is none.
    """
    variable, url = endpoint_of_environment()
    check_endpoint(variable, "" if access.aws_endpoint_url else url)
    found: dict[str, Any] = {"endpoint": access.aws_endpoint_url or url}
    explicit = bool(access.aws_access_key_id)
    if explicit:
        found["credential_provider"] = _given(access)
    try:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an extra
        from botocore.session import Session  # noqa: PLC0415
    except ImportError:
        return found | {"region": region_of(access)}
    try:
        session = Session()
        found["region"] = region_of(access, session)
        profiles = session.get_scoped_config().get("endpoint_url", "")
        if not found["endpoint"] and not session.get_config_variable(_IGNORED):
            found["endpoint"] = profiles
        credentials = None if explicit else session.get_credentials()
    except BotoCoreError as error:
        wrong = " ".join(str(error).split())
    else:
        check_endpoint("endpoint_url of the profile", found["endpoint"])
        return found if credentials is None else found | {"credential_provider": _of(credentials)}
    raise ValueError(wrong)


def _given(access: Access) -> Callable[[], dict[str, Any]]:
    """Return what tells obstore of exactly these: no token of the environment goes with them."""
    told = {
        "access_key_id": access.aws_access_key_id,
        "secret_access_key": access.aws_secret_access_key,
        "token": access.aws_session_token or None,
        "expires_at": None,
    }
    return lambda: told


def given_for_azure(access: Access) -> Callable[[], dict[str, Any]] | None:
    """Return what tells obstore of the key, else of the shared access signature; None without."""
    told: dict[str, Any] = {"expires_at": None}
    if access.azure_key:
        told["access_key"] = access.azure_key
    elif access.azure_sas:
        told["sas_token"] = access.azure_sas.removeprefix("?")
    else:
        return None
    return lambda: told


def _of(credentials: Any) -> Callable[[], dict[str, Any]]:
    """Return what asks botocore's *credentials*, which may be for a while only."""

    def frozen() -> dict[str, Any]:
        now = credentials.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": getattr(credentials, "_expiry_time", None),
        }

    return frozen
