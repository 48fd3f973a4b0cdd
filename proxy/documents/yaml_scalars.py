"""YAML scalars: the values that kubectl reads them as.

kubectl reads YAML with go-yaml v2 (sigs.k8s.io/yaml, goyaml.v2/resolve.go and decode.go) and makes JSON of it: the
words of YAML 1.1, Go's notation of integers, no base 60, and times that stay text. Invariant: the result is a value of
JSON or a ScalarError.
"""

import base64
import binascii
import math
import re
import struct
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

Scalar = str | int | float | bool | None

STANDARD_TAG = "tag:yaml.org,2002:"

_WORDS: Mapping[str, bool | float | None] = MappingProxyType(
    {
        **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
        **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
        **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
        **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
        **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
        **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    }
)
_BEGINS_A_NUMBER = frozenset("+-.0123456789")
_INTEGER = re.compile(r"([-+]?)(?:0[bB]([01]+)|0[xX]([0-9a-fA-F]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_SIGN_BEHIND_THE_BASE = re.compile(r"0b([-+][01]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_FRACTION = re.compile(r"\.[0-9](?:_?[0-9])*(?:[eE][-+]?[0-9](?:_?[0-9])*)?")
_TIME = re.compile(r"\d{4}-\d\d?-\d\d?(?:[Tt ]\d\d?:\d\d?:\d\d?(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d)?)?")
_LONGEST_INTEGER = 400
"""Zeros may lead; Python counts the digits of numbers that are longer by far."""
_INT64 = range(-(2**63), 2**63)
_LARGEST_UINT64 = 2**64 - 1
_DIGITS_OF_A_SINGLE = 9
_EXPONENTS_WRITTEN_OUT = range(-4, 6)


class ScalarError(Exception):
    """A scalar that has no value; the message says why."""


def plain_scalar(text: str) -> Scalar:
    """What go-yaml makes of an unquoted scalar without a tag. Raises ScalarError."""
    if text in _WORDS:
        return _WORDS[text]
    number = _number(text) if text[0] in _BEGINS_A_NUMBER else None
    return text if number is None else number


def tagged_scalar(tag: str, text: str) -> Scalar:
    """What go-yaml makes of a scalar with an explicit tag, quoted or not. Raises ScalarError."""
    name = tag.removeprefix(STANDARD_TAG)
    if name == "binary":
        return _decoded(text)
    if name not in ("bool", "float", "int", "null", "timestamp"):
        return text
    if name == "timestamp" and _TIME.fullmatch(text):
        return text
    value = plain_scalar(text)
    found = {str: "str", int: "int", float: "float", bool: "bool"}.get(type(value), "null")
    if found != name and not (name == "float" and type(value) is int and value in _INT64):
        raise ScalarError(f"cannot decode !!{found} `{text}` as a !!{name}")
    return value


def json_value(value: Scalar) -> Scalar:
    """The value as kubectl reads it out of JSON: an integer has 64 bits, all else is a float. Raises ScalarError."""
    if isinstance(value, int):
        return value if value in _INT64 else float(value)
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        raise ScalarError(f"JSON has no number {value}: put it in quotes")
    if not value.is_integer():
        return value
    written = int(Decimal(repr(value)))  # JSON has the fewest digits that are still the same float.
    return written if written in _INT64 else value


def key_text(value: Scalar) -> str:
    """The name of the member that a key stands for (convertToJSONableObject). Raises ScalarError."""
    if value is None:
        raise ScalarError("a key is null: put it in quotes")
    if isinstance(value, bool):
        return "true" if value else "false"
    return _float_text(value) if isinstance(value, float) else str(value)


def _number(text: str) -> int | float | None:
    """What strconv makes of it, or None for what is no number."""
    if text[0] == ".":
        return _float(text, _FRACTION)
    plain = text.replace("_", "")
    if match := _SIGN_BEHIND_THE_BASE.fullmatch(plain):
        return int(match[1], 2)
    integer = _integer(plain)
    if integer is None or not (integer in _INT64 or (plain[0] not in "+-" and integer <= _LARGEST_UINT64)):
        return _float(plain, _FLOAT)
    return integer


def _integer(plain: str) -> int | None:
    match = _INTEGER.fullmatch(plain) if len(plain) < _LONGEST_INTEGER else None
    sign, *digits_by_base = match.groups() if match else ("",)
    bases = zip(digits_by_base, (2, 16, 8, 10), strict=False)
    return next((int(sign + digits, base) for digits, base in bases if digits), None)


def _float(text: str, pattern: re.Pattern[str]) -> float | None:
    """A number too large for a float is text, as strconv.ParseFloat refuses it."""
    if not pattern.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _decoded(text: str) -> str:
    try:
        data = base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ScalarError("!!binary value contains invalid base64 data") from error
    return data.decode("utf-8", "replace")


def _float_text(number: float) -> str:
    """strconv.FormatFloat(number, 'g', -1, 32): the fewest digits that are still the same 32-bit number."""
    single = _single(number)
    if not math.isfinite(single):
        return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}[str(single)]
    precisions = range(_DIGITS_OF_A_SINGLE)
    digits = next(text for precision in precisions if _single(float(text := f"{single:.{precision}e}")) == single)
    mantissa, exponent = digits.split("e")
    if int(exponent) not in _EXPONENTS_WRITTEN_OUT:
        return f"{mantissa}e{int(exponent):+03d}"
    decimals = len(mantissa.partition(".")[2]) - int(exponent)
    return f"{float(digits):.{max(0, decimals)}f}"


def _single(number: float) -> float:
    """The nearest 32-bit number."""
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)
