"""The id-token that a kubeconfig keeps for the oidc auth-provider: used while valid, read again, never written."""

from __future__ import annotations

import base64
import json
import os

import pytest
from cluster.kubeconfigs import CANARY, Place, checked, kubeconfig

from kwatch.cluster.kubefile import load
from kwatch.cluster.oidc import IdToken
from kwatch.errors import ConfigError

FAR = 4_000_000_000


def id_token(expires: float, signature: str = "s") -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"iss": "https://i", "exp": expires}).encode()).decode().rstrip("=")
    return f"h.{payload}.{signature}"


def oidc(token: str | None) -> dict[str, object]:
    config = {"idp-issuer-url": "https://i", "client-id": "c", "refresh-token": CANARY, "id-token": token}
    return {"auth-provider": {"name": "oidc", "config": config}}


def test_a_stored_token_is_sent_while_it_is_valid(place: Place) -> None:
    place.default(kubeconfig(user=oidc(id_token(FAR))))
    assert place.resolve().credentials.authorization() == f"Bearer {id_token(FAR)}"


def test_an_expired_token_is_looked_up_again_and_so_it_is_after_a_401(place: Place) -> None:
    config = place.default(kubeconfig(user=oidc(id_token(100))))
    now = [99.0]
    credentials = IdToken(load([config]).users["u"], lambda: now[0])
    assert credentials.authorization() == f"Bearer {id_token(100)}"
    now[0] = 100.0
    with pytest.raises(ConfigError, match="has expired; any kubectl command with this user refreshes it") as caught:
        credentials.authorization()
    checked(caught.value)
    place.default(kubeconfig(user=oidc(id_token(200))))
    assert credentials.authorization() == f"Bearer {id_token(200)}"
    place.default(kubeconfig(user=oidc(id_token(200, "other"))))
    assert credentials.authorization() == f"Bearer {id_token(200)}"
    credentials.renew()
    assert credentials.authorization() == f"Bearer {id_token(200, 'other')}"
    assert credentials.given() == (credentials.authorization(),)


def test_a_pipe_is_read_once(place: Place) -> None:
    config = place.default(kubeconfig(user=oidc(id_token(FAR))))
    credentials = IdToken(load([config]).users["u"])
    config.unlink()
    os.mkfifo(config)
    credentials.renew()
    assert credentials.authorization() == f"Bearer {id_token(FAR)}"


@pytest.mark.parametrize(
    ("user", "text"),
    [
        (oidc(id_token(100)), "has an OIDC id-token that has expired"),
        (oidc(None), "has no OIDC id-token yet; run any kubectl command with this user first"),
        (oidc(CANARY), "that isn't a JWT with an exp"),
        (oidc(f"a.{CANARY}.b"), "that isn't a JWT with an exp"),
        ({"auth-provider": {"name": "oidc"}}, "has no OIDC id-token yet"),
        ({"auth-provider": {"name": "gcp"}}, "neither kubectl nor kwatch has; use its exec plugin, gke-gcloud"),
        ({"auth-provider": {"name": "azure"}}, "use its exec plugin, kubelogin"),
        ({"auth-provider": {"name": ["x"]}}, "neither kubectl nor kwatch has; pass --token"),
        ({"auth-provider": []}, None),
    ],
)
def test_what_gives_no_token_is_an_error_at_the_start(user: dict[str, object], text: str | None, place: Place) -> None:
    place.default(kubeconfig(user=user))
    if text is None:
        assert place.resolve().credentials.authorization() == ""
    else:
        assert text in place.failure()
