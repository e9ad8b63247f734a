# SPDX-License-Identifier: AGPL-3.0-or-later
"""Certificates for tests: an authority of its own, and what it signs. Times are days from now."""
import datetime
import ipaddress
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Keeps its certificate in FOLDER/NAME.pem."""

    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name
        self.certificate = self._sign(name, self.key.public_key(), (-1, 3650), authority=True)
        self.path = self._write(f"{name}.pem", self.certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def _sign(self, name, public_key, days, names=(), authority=False):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(_name(name)).issuer_name(_name(self.name)).public_key(public_key)
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(days=days[0])).not_valid_after(now + datetime.timedelta(days=days[1]))
                   .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(each) for each in names]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name, data, mode):
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(mode)
        return str(path)

    def issue(self, stem, *, subject="localhost", names=("localhost", "127.0.0.1"), days=(-1, 30), kind="ec", owner=None):
        """(certificate, key) as files FOLDER/STEM.crt and FOLDER/STEM.key."""
        key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
        certificate = self._sign(subject, key.public_key(), days, names)
        paths = (self._write(f"{stem}.crt", certificate.public_bytes(serialization.Encoding.PEM), 0o644), self._write(f"{stem}.key", _pem(key), 0o600))
        if owner is not None:
            os.chown(paths[1], *owner)
        return paths
