"""Checks signed answers with nothing but Python's standard library: no node, no network, no trust in either.

>>> from jetway_client.verify import verify
>>> verify(open("answer.json", "rb").read(), signers=["did:key:z6Mk..."])  # doctest: +SKIP

or on the command line: ``python -m jetway_client.verify answer.json --signer did:key:z6Mk...``

What is checked: that input, answer and sub-queries have the hashes that were signed, that the signature fits, and that
it is the signature of somebody who is known. What cannot be checked without the datasets is whether the answer was right:
``jetway verify-query`` and ``POST /verify`` run the query again for that.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterable
from typing import Any

__all__ = ["ProofError", "canonical", "main", "verify"]


class ProofError(ValueError):
    """A proof that does not hold. ``kind`` is the same as in the answers of a node."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def verify(document: bytes | str | dict[str, Any], signers: Iterable[str] = ()) -> str:
    """Checks hashes and signature, and returns the did:key of who signed.

    ``signers`` are the did:key names whose signature is accepted; without any, whoever signed is only returned.

    Raises `ProofError` with the first thing that is wrong.
    """
    if not isinstance(document, dict):
        document = parse(document)
    unknown = set(document) - {"input", "output", "subQueries", "commitment", "proof"}
    if unknown:
        raise ProofError("Malformed", f"the proof has members that are not known: {', '.join(sorted(unknown))}")
    commitment = _object(document, "commitment", {"inputHash", "outputHash", "subQueriesHash"})
    proof = _object(document, "proof", {"type", "verificationMethod", "proofValue"})
    for member, signed, kind, what in (
        ("input", "inputHash", "InvalidRequest::InputHash", "the input was changed"),
        ("subQueries", "subQueriesHash", "InvalidRequest::SubQueriesHash", "the sub-queries were changed"),
        ("output", "outputHash", "InvalidRequest::OutputHash", "the answer was changed"),
    ):
        if member not in document:
            raise ProofError("Malformed", f"the proof lacks the member {member}")
        if _multihash(document[member]) != commitment[signed]:
            raise ProofError(kind, f"{what}: it does not have the hash commitment.{signed}")
    signer = proof["verificationMethod"]
    if proof["type"] != "Ed25519Signature2020":
        raise ProofError("Malformed", f"signatures of type {proof['type']} are not known")
    if not _signed(_public_key(signer), canonical(commitment), _signature(proof["proofValue"])):
        raise ProofError(
            "InvalidRequest::BadSignature",
            f"the signature is wrong: {signer} did not sign this commitment",
        )
    accepted = list(signers)
    if accepted and signer not in accepted:
        raise ProofError(
            "InvalidRequest::UnknownSigner",
            f"the proof is signed by {signer}, and not by {' or '.join(accepted)}",
        )
    return signer


# JSON


def parse(text: bytes | str) -> dict[str, Any]:
    """Reads a document. Two members of one name are refused: readers would differ about which one counts."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ProofError("Malformed", "an object in the proof has two members of one name")
        return found

    def constant(name: str) -> None:
        raise ProofError("Malformed", f"{name} is no JSON")

    try:
        document = json.loads(text, object_pairs_hook=members, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ProofError):
            raise
        raise ProofError("Malformed", f"the proof is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ProofError("Malformed", "a proof is a JSON object")
    return document


def canonical(value: Any) -> bytes:
    """The one form of a JSON value that is hashed: RFC 8785, with all digits of whole numbers."""
    pieces: list[str] = []
    _write(value, pieces.append)
    return "".join(pieces).encode("utf-8", "surrogatepass")


def _write(value: Any, put: Any) -> None:
    if isinstance(value, dict):
        put("{")
        for index, name in enumerate(sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))):
            put(("," if index else "") + json.dumps(name, ensure_ascii=False) + ":")
            _write(value[name], put)
        put("}")
    elif isinstance(value, list):
        put("[")
        for index, item in enumerate(value):
            if index:
                put(",")
            _write(item, put)
        put("]")
    elif isinstance(value, float):
        put(_number(value))
    else:
        # Texts, whole numbers, true, false and null are written by Python as RFC 8785 says.
        put(json.dumps(value, ensure_ascii=False))


def _number(value: float) -> str:
    """A float as ECMAScript writes it. Python finds the same digits, and lays them out in another way."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ProofError("Malformed", "a number in the proof is too large")
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value!r}".lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    # Where the point stands, counted from the first digit that is not zero.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        text = digits + "0" * (point - len(digits))
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{point - 1:+d}"
    return sign + text


def _multihash(value: Any) -> str:
    """SHA3-256 as a multihash, in multibase f."""
    return "f1620" + hashlib.sha3_256(canonical(value)).hexdigest()


def _object(document: dict[str, Any], name: str, members: set[str]) -> dict[str, str]:
    found = document.get(name)
    if not isinstance(found, dict) or set(found) != members:
        raise ProofError("Malformed", f"{name} must have the members {', '.join(sorted(members))}")
    if not all(isinstance(text, str) for text in found.values()):
        raise ProofError("Malformed", f"the members of {name} must be texts")
    return found


# Keys and signatures

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _public_key(did: str) -> bytes:
    prefix, digits = did[:9], did[9:]
    if prefix != "did:key:z" or len(digits) > 100 or not set(digits) <= set(_BASE58):
        raise ProofError("Malformed", "a signer is named by its key, as did:key:z6Mk...")
    number = 0
    for digit in digits:
        number = number * 58 + _BASE58.index(digit)
    key = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if len(key) != 34 or key[:2] != b"\xed\x01":
        raise ProofError("Malformed", "the key of the signer is no Ed25519 key")
    return key[2:]


def _signature(text: str) -> bytes:
    try:
        signature = base64.b64decode(text[1:] + "==", altchars=b"-_", validate=True)
    except ValueError as error:
        raise ProofError("Malformed", "the signature is not in multibase u") from error
    if text[:1] != "u" or len(signature) != 64:
        raise ProofError("Malformed", "a signature is 64 bytes in multibase u")
    return signature


# Ed25519 (RFC 8032, section 5.1). Only what is public is computed with, so time does not matter.

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)

# Extended coordinates: x = X/Z, y = Y/Z, x*y = T/Z.
_Point = tuple[int, int, int, int]
_NEUTRAL: _Point = (0, 1, 1, 0)


def _add(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _times(scalar: int, point: _Point) -> _Point:
    result = _NEUTRAL
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _same(one: _Point, other: _Point) -> bool:
    return (one[0] * other[2] - other[0] * one[2]) % _P == 0 and (one[1] * other[2] - other[1] * one[2]) % _P == 0


def _decode(data: bytes) -> _Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a key signed a message. Keys and points of small order are refused: they fit several messages."""
    public, commit = _decode(key), _decode(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if public is None or commit is None or scalar >= _ORDER:
        return False
    if _same(_times(8, public), _NEUTRAL) or _same(_times(8, commit), _NEUTRAL):
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % _ORDER
    y = 4 * pow(5, -1, _P) % _P
    base = _decode(y.to_bytes(32, "little"))
    assert base is not None
    return _same(_times(scalar, base), _add(commit, _times(challenge, public)))


def main(arguments: list[str] | None = None) -> int:
    """The command line. The exit code is 0 if the proof holds, 1 if not."""
    parser = argparse.ArgumentParser(
        prog="python -m jetway_client.verify",
        description="Checks the hashes and the signature of an answer of a Jetway node.",
    )
    parser.add_argument("file", help="the answer with its proof, as `jetway sql --proof FILE` or POST /query gives it")
    parser.add_argument("--signer", action="append", default=[], help="did:key whose signature is accepted")
    chosen = parser.parse_args(arguments)
    try:
        with open(chosen.file, "rb") as file:
            signer = verify(file.read(), chosen.signer)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ProofError as error:
        print(f"error: {error} ({error.kind})", file=sys.stderr)
        return 1
    vouched = "" if chosen.signer else "; whether that is the node you asked, nobody said: give --signer"
    print(f"the answer is the one that {signer} signed{vouched}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
