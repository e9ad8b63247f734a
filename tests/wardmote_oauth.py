# SPDX-License-Identifier: AGPL-3.0-or-later
"""Keys of clients and the assertions that they sign (RFC 7523), made without the server's own code."""
import base64
import json
import time
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A private key of a client with its public half as a JWK."""

    def __init__(self, algorithm, kid="k1", bits=2048):
        self.algorithm = algorithm
        self.kid = kid
        if algorithm in ("RS256", "PS256"):
            self.private = rsa.generate_private_key(65537, bits)
            numbers = self.private.public_key().public_numbers()
            parts = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        elif algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
            numbers = self.private.public_key().public_numbers()
            parts = {"kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            parts = {"kty": "OKP", "crv": "Ed25519", "x": b64(self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))}
        self.jwk = {**parts, "kid": kid, "alg": algorithm}

    def sign(self, text, algorithm=None):
        data, algorithm = text.encode(), algorithm or self.algorithm
        if algorithm == "RS256":
            return b64(self.private.sign(data, padding.PKCS1v15(), hashes.SHA256()))
        if algorithm == "PS256":
            return b64(self.private.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()))
        if algorithm == "ES256":
            r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
            return b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return b64(self.private.sign(data))


def ahead(seconds):
    return lambda now: now + seconds


def assertion(key, client_id, audience, header=None, claims=None, signed_by=None):
    """One that is good but for the members replaced, or left out where the value is ...; a text in place of a part is taken as it is. A time may be `ahead(seconds)`."""
    now = int(time.time())

    def part(base, change):
        if isinstance(change, str):
            return b64(change.encode())
        members = {**base, **(change or {})}
        return b64(json.dumps({name: value(now) if callable(value) else value for name, value in members.items() if value is not ...}).encode())

    text = (part({"alg": key.algorithm, "kid": key.kid, "typ": "JWT"}, header) + "."
            + part({"iss": client_id, "sub": client_id, "aud": audience, "jti": str(uuid.uuid4()), "iat": now, "exp": now + 60}, claims))
    return text + "." + (signed_by or key).sign(text)


def proof(token):
    return {"client_assertion_type": BEARER, "client_assertion": token}
