"""Values as they travel between the peer and the test that drives it.

JSON as the test reads it has no NaN, no infinities, no integers beyond 64 bits and no lone surrogates. What is none of
what JSON has travels as an object with one key: `$float`, `$int`, `$text` (JSON, escaped twice), `$repr`; and to the
peer `$datetime` (ISO 8601), `$uuid`, `$bytes` (UTF-8), `$tuple`.
"""

import datetime
import json
import math
import uuid

_MAKE = {
    '$int': int, '$float': float, '$text': json.loads, '$datetime': datetime.datetime.fromisoformat, '$uuid': uuid.UUID,
    '$bytes': str.encode, '$tuple': tuple,
}


def to_test(value):
    """Makes `value` something that strict JSON can carry."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -2**63 <= value < 2**64 else {'$int': str(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {'$float': repr(value)}
    if isinstance(value, str):
        return value if _is_unicode(value) else {'$text': json.dumps(value)}
    if isinstance(value, (list, tuple)):
        return [to_test(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_test(item) for key, item in value.items()}
    return {'$repr': repr(value)}


def from_test(value):
    """The reverse of `to_test`, but for `$repr`."""
    if isinstance(value, list):
        return [from_test(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key, inner), = value.items()
        if key in _MAKE:
            return _MAKE[key](from_test(inner))
    return {key: from_test(item) for key, item in value.items()}


def error_to_test(error):
    """What can be known of an exception, in the names of its own attributes."""
    report = {
        'class': type(error).__name__,
        'module': type(error).__module__,
        'message': str(error),
        'args': error.args,
        'bases': [f'{base.__module__}.{base.__name__}' for base in type(error).__mro__],
    }
    for attribute in ('kwargs', 'exc_type', 'value', 'traceback', 'exchange', 'routing_key', 'version', 'method'):
        if hasattr(error, attribute):
            report[attribute] = getattr(error, attribute)
    return to_test(report)


def _is_unicode(text):
    try:
        text.encode('utf-8')
    except UnicodeEncodeError:
        return False
    return True
