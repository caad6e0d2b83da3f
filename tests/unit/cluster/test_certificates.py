"""Whom the cluster's certificates name, and who has signed them."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cluster import certificates, people
from cluster.certificates import Authority, Request
from cluster.processes import Failure


def _issued(request: Request) -> x509.Certificate:
    return Authority().issue(request, certificates.new_key().public_key())


def test_the_api_server_is_known_by_every_address_and_name_it_is_called_by() -> None:
    names = _issued(certificates.API_SERVER).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.IPAddress)) == {
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("198.18.0.1"),
        ipaddress.ip_address("198.19.0.1"),
    }
    assert {"kubernetes.default.svc", "kubernetes.default.svc.cluster.local"} <= set(
        names.get_values_for_type(x509.DNSName)
    )


def test_the_kubelet_serves_at_the_address_of_the_node() -> None:
    names = _issued(certificates.KUBELET_SERVER).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("198.18.0.1")]


@pytest.mark.parametrize(
    ("request_for", "organization", "common_name"),
    [
        pytest.param(certificates.ADMINISTRATOR, "system:masters", "kubernetes-admin", id="administrator"),
        pytest.param(certificates.KUBELET, "system:nodes", "system:node:node1", id="kubelet"),
        pytest.param(certificates.SCHEDULER, None, "system:kube-scheduler", id="scheduler"),
    ],
)
def test_a_client_is_named_as_the_built_in_roles_expect(
    request_for: Request, organization: str | None, common_name: str
) -> None:
    certificate = _issued(request_for)
    organizations = [found.value for found in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert organizations == ([organization] if organization else [])
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == common_name
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_every_certificate_that_is_written_is_signed_by_the_authority_beside_it(tmp_path: Path) -> None:
    certificates.write_all(tmp_path)
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    written = sorted(path for path in tmp_path.glob("*.crt") if path.name != "ca.crt")
    assert len(written) == len(certificates.EVERY_REQUEST)
    for path in written:
        x509.load_pem_x509_certificate(path.read_bytes()).verify_directly_issued_by(authority)


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    certificates.write_all(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")}
    assert set(modes.values()) == {0o600}


def test_one_more_person_is_signed_by_the_authority_that_is_there(tmp_path: Path) -> None:
    certificates.write_all(tmp_path)
    certificates.write_one_more(tmp_path, Request("ada", "ada@example.com", ("validators", "risk")))

    issued = x509.load_pem_x509_certificate((tmp_path / "ada.crt").read_bytes())
    issued.verify_directly_issued_by(x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes()))
    assert issued.subject.rfc4514_string() == "CN=ada@example.com,O=risk,O=validators"


@pytest.mark.parametrize(
    ("name", "groups", "told"),
    [
        pytest.param("system:admin", (), "system:", id="a name of the cluster's own"),
        pytest.param("ada", ("system:masters",), "--group system:masters", id="a group above every authorizer"),
        pytest.param("", (), "1 to 64 characters", id="nobody"),
    ],
)
def test_nobody_is_given_a_name_of_the_clusters_own(name: str, groups: tuple[str, ...], told: str) -> None:
    with pytest.raises(Failure, match=told):
        people.kubeconfig(name, groups)
