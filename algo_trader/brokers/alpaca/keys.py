"""The two halves of an API key, kept from every text."""

from __future__ import annotations

from algo_trader.core.errors import ConfigError

SHORTEST = 12


class Keys:
    """An API key and its secret; its repr shows neither.

    ConfigError if one is missing or holds what no key holds: such a value would otherwise come back
    in the text of some library's error.
    """

    __slots__ = ("key_id", "secret")

    def __init__(self, key_id: str, secret: str) -> None:
        for name, value in (("ALGO_BROKER_API_KEY", key_id), ("ALGO_BROKER_SECRET_KEY", secret)):
            if not value:
                raise ConfigError(f"{name} is missing: set it in .env or in the environment")
            is_plain = value.isascii() and value.isprintable()
            if not is_plain or any(char in value for char in " \"'"):
                raise ConfigError(
                    f"{name} holds spaces, quotes or control characters: copy the key once more"
                )
        self.key_id = key_id
        self.secret = secret

    def __repr__(self) -> str:
        return "Keys(...)"

    def scrubbed(self, content: bytes) -> bytes:
        """The content with both halves struck out, should the other side echo them.

        A half that is too short to be one of Alpaca's is left: it could be part of anything.
        """
        for value in (self.secret, self.key_id):
            if len(value) >= SHORTEST:
                content = content.replace(value.encode(), b"***")
        return content
