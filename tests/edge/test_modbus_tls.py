"""Modbus/TCP Security: certificates on both sides, and what is said where one is missing."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from linli_core.errors import LinkError
from linli_edge.drivers.modbus import SPEC
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import ModbusServer

NOW = dt.datetime.now(tz=dt.UTC)


def certificate(
    folder: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None
) -> Any:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    authority = x509.BasicConstraints(ca=issuer is None, path_length=None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=1))
        .add_extension(authority, critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    made = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made, key


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    authority = certificate(tmp_path, "plant")
    certificate(tmp_path, "plc", authority)
    certificate(tmp_path, "gateway", authority)
    certificate(tmp_path, "stranger")
    return tmp_path


def server_side(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "plc.pem", folder / "plc.key")
    context.load_verify_locations(folder / "plant.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def table(port: int, folder: Path, **more: Any) -> dict[str, Any]:
    point = {"quantity": "voltage", "unit": "V", "type": "uint16", "address": 0}
    return {
        "id": "plc", "driver": "modbus", "transport": "tls", "host": "127.0.0.1", "port": port,
        "ca": str(folder / "plant.pem"), "certificate": str(folder / "gateway.pem"), "key": str(folder / "gateway.key"),
        "devices": [{"id": "plc-1", "unit": 1, "points": [point]}], **more,
    }  # fmt: skip


def unit() -> Unit:
    made = Unit()
    made.put("holding", 0, [230])
    return made


async def read(settings: dict[str, Any]) -> Any:
    async with SPEC.open(SPEC.parse(settings, "links[0]"), lambda: 0) as driver:
        (reading,) = await driver.poll(driver.plan[0])
        return reading.value


@on_jumping_loop
async def test_a_device_is_read_where_each_knows_the_other(certificates: Path) -> None:
    async with ModbusServer({1: unit()}).listen(tls=server_side(certificates)) as port:
        assert await read(table(port, certificates)) == 230
        assert await read(table(port, certificates, server_name="plc")) == 230


@on_jumping_loop
async def test_a_device_of_another_plant_or_of_another_name_is_not_spoken_to(certificates: Path) -> None:
    async with ModbusServer({1: unit()}).listen(tls=server_side(certificates)) as port:
        with pytest.raises(LinkError, match="no TLS connection"):
            await read(table(port, certificates, ca=str(certificates / "stranger.pem")))
        with pytest.raises(LinkError, match="no TLS connection"):
            await read(table(port, certificates, server_name="pump"))


@on_jumping_loop
async def test_a_device_that_asks_for_a_certificate_gets_none_from_a_stranger(certificates: Path) -> None:
    settings = {"certificate": str(certificates / "stranger.pem"), "key": str(certificates / "stranger.key")}
    async with ModbusServer({1: unit()}).listen(tls=server_side(certificates)) as port:
        with pytest.raises(LinkError):
            await read(table(port, certificates, **settings))


@on_jumping_loop
async def test_a_file_that_is_not_there_is_named(certificates: Path) -> None:
    with pytest.raises(LinkError, match=r"tls 127\.0\.0\.1:802: no TLS with .*nowhere\.pem"):
        await read({**table(802, certificates), "ca": str(certificates / "nowhere.pem")})


def test_the_port_is_the_standards() -> None:
    settings = table(0, Path())
    del settings["port"]
    assert SPEC.parse(settings, "links[0]").transport.place == "tls 127.0.0.1:802"
