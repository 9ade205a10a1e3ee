"""Credentials: exchanged tokens, who holds one, and API keys."""

from __future__ import annotations

from typing import ClassVar

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer

__all__ = [
    "ApiKeyDetails",
    "ApiKeyOrgDetails",
    "ApiKeyResponse",
    "ApiKeyUserDetails",
    "AuthTokenRequest",
    "AuthTokenResponse",
    "WhoamiResponse",
]


class AuthTokenRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/auth/token``: empty, since the credential is in a header (protocol 1.4.3)."""


class AuthTokenResponse(Answer, frozen=True, kw_only=True):
    """A short-lived token that stands for the credential.

    Attributes:
        jwt: The token, a compact JWT; a secret.
    """

    _secret_fields: ClassVar[frozenset[str]] = frozenset({"jwt"})

    jwt: str


class WhoamiResponse(Answer, frozen=True, kw_only=True):
    """Who holds a token, from the token itself (protocol section 2.14).

    Attributes:
        user_urn: The user.
        org_urn: The organization.
        email: The user's address, or None.
    """

    user_urn: str
    org_urn: str
    email: str | None = None


class ApiKeyOrgDetails(Answer, frozen=True, kw_only=True):
    """The organization of an API key."""

    name: str


class ApiKeyUserDetails(Answer, frozen=True, kw_only=True):
    """The user of an API key."""

    email: str


class ApiKeyDetails(Answer, frozen=True, kw_only=True):
    """Whose an API key is."""

    org_details: ApiKeyOrgDetails
    user_details: ApiKeyUserDetails


class ApiKeyResponse(Answer, frozen=True, kw_only=True):
    """The answer of ``/auth/apikey/me``: the key that asked (protocol section 2.14)."""

    key_id: int
    name: str
    note: str
    details: ApiKeyDetails
