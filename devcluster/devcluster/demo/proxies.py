"""The demo's servers are on this machine, where a proxy elsewhere does not reach them."""

from collections.abc import Mapping
from typing import Final

_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy")
_HERE: Final = "127.0.0.1"


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set so that no proxy is asked for this machine; none where none would be.

    Only where a proxy is named: macOS has its own settings, which ``no_proxy`` alone would switch off.
    """
    told = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    proxies = any(environment.get(name) or environment.get(name.upper()) for name in _PROXIES)
    if not proxies or told.strip() == "*":
        return {}
    names = f"{told},{_HERE}" if told else _HERE
    return {"no_proxy": names, "NO_PROXY": names}
