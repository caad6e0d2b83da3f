"""A certificate authority for one cluster, and the certificates of its parts. Made anew at every start."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cluster import network

_LIFETIME = datetime.timedelta(days=365)
_CLOCK_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Request:
    """Whom a certificate names, and what it is for."""

    file: str
    common_name: str
    organizations: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def for_a_server(self) -> bool:
        return bool(self.addresses or self.names)


API_SERVER = Request(
    "kube-apiserver",
    "kube-apiserver",
    addresses=("127.0.0.1", network.NODE_ADDRESS, network.FIRST_SERVICE_ADDRESS),
    names=(
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{network.CLUSTER_DOMAIN}",
    ),
)
KUBELET_SERVER = Request(
    "kubelet-server",
    f"system:node:{network.NODE_NAME}",
    ("system:nodes",),
    (network.NODE_ADDRESS,),
    (network.NODE_NAME,),
)
ADMINISTRATOR = Request("admin", "kubernetes-admin", ("system:masters",))
API_SERVER_TO_KUBELET = Request("apiserver-kubelet", "kube-apiserver-kubelet-client", ("system:masters",))
CONTROLLER_MANAGER = Request("kube-controller-manager", "system:kube-controller-manager")
SCHEDULER = Request("kube-scheduler", "system:kube-scheduler")
PROXY = Request("kube-proxy", "system:kube-proxy")
KUBELET = Request("kubelet", f"system:node:{network.NODE_NAME}", ("system:nodes",))
EVERY_REQUEST = (
    API_SERVER,
    KUBELET_SERVER,
    ADMINISTRATOR,
    API_SERVER_TO_KUBELET,
    CONTROLLER_MANAGER,
    SCHEDULER,
    PROXY,
    KUBELET,
)
AUTHORITY = "ca"
SERVICE_ACCOUNT_KEY = "service-account"


@dataclass(frozen=True)
class Authority:
    """Signs the certificates of one cluster."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: new_key(), repr=False)
    name: x509.Name = field(default_factory=lambda: _name("modelward local cluster"))

    def own_certificate(self) -> x509.Certificate:
        return (
            _builder(self.name, self.name, self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, request: Request, public_key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if request.for_a_server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _builder(_name(request.common_name, *request.organizations), self.name, public_key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if request.for_a_server:
            builder = builder.add_extension(_alternative_names(request), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def write_all(folder: Path) -> None:
    """The authority's and every part's certificate and key, and the key that signs service-account tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    authority = Authority()
    _write_certificate(folder / f"{AUTHORITY}.crt", authority.own_certificate())
    # People are given certificates while the cluster runs.
    _write_key(folder / f"{AUTHORITY}.key", authority.key)
    for request in EVERY_REQUEST:
        _write_issued(folder, authority, request)
    token_key = new_key()
    _write_key(folder / f"{SERVICE_ACCOUNT_KEY}.key", token_key)
    public = token_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / f"{SERVICE_ACCOUNT_KEY}.pub").write_bytes(public)


def write_one_more(folder: Path, request: Request) -> None:
    """A certificate and its key, from the authority that `write_all` made."""
    key = serialization.load_pem_private_key((folder / f"{AUTHORITY}.key").read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{folder / AUTHORITY}.key is not a key on an elliptic curve")
    _write_issued(folder, Authority(key), request)


def _write_issued(folder: Path, authority: Authority, request: Request) -> None:
    key = new_key()
    _write_certificate(folder / f"{request.file}.crt", authority.issue(request, key.public_key()))
    _write_key(folder / f"{request.file}.key", key)


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _name(common_name: str, *organizations: str) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_names(request: Request) -> x509.SubjectAlternativeName:
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in request.addresses]
    return x509.SubjectAlternativeName([*addresses, *(x509.DNSName(name) for name in request.names)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
