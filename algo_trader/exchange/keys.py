"""The one pair of keys the exchange knows, and whether a client holds it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from hmac import compare_digest

KEY_HEADER, SECRET_HEADER = "APCA-API-KEY-ID", "APCA-API-SECRET-KEY"


class Keys:
    """Key id and secret; its text shows neither."""

    def __init__(self, key_id: str, secret: str) -> None:
        self.key_id = key_id
        self.secret = secret

    def __repr__(self) -> str:
        return "Keys(***)"

    def match(self, key_id: object, secret: object) -> bool:
        """Whether both are right."""
        return compare_digest(str(key_id).encode(), self.key_id.encode()) and compare_digest(
            str(secret).encode(), self.secret.encode()
        )

    def admit(self, headers: Mapping[str, str]) -> bool | None:
        """Whether the headers hold the keys, as APCA headers or Basic; None if they hold none."""
        key_id, secret = headers.get(KEY_HEADER), headers.get(SECRET_HEADER)
        if key_id is not None and secret is not None:
            return self.match(key_id, secret)
        scheme, _, encoded = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            key_id, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (ValueError, binascii.Error):
            return False
        return self.match(key_id, secret)
