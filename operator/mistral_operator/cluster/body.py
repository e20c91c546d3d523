"""Bodies of server-side apply: JSON that YAML reads as the same.

The API server reads ``application/apply-patch+yaml`` with a YAML parser, and knows no such type for JSON: 1.37 answers
415 to ``apply-patch+json``. Of what JSON may hold, that parser refuses characters beyond U+FFFF as escapes, for those
are surrogates in JSON, and DEL, C1 controls, U+FFFE and U+FFFF as they are; U+0085 becomes a space. So what is beyond
ASCII goes out as UTF-8, and those as escapes.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def apply_body(manifest: Mapping[str, Any]) -> bytes:
    """Return an object in UTF-8; a surrogate, which UTF-8 cannot hold, becomes U+FFFD, as the API server has it too.

    Raises
    ------
    ValueError
        When a number is none that JSON knows.
    """
    text = json.dumps(manifest, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _ESCAPED.sub(_escape, text).encode()


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"
