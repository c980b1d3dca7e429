"""The first start of a board that has no configuration: a Wi-Fi of its own, and a page to fill in with a phone.

A board with a configuration that it cannot use asks in the same way: the page says what is wrong with it.

The network has the passphrase that is printed on the board's label (``/label`` holds it): an open one would let
anybody make this node another's. It goes away after a quarter of an hour, and comes back
(:mod:`linli_app.access_point`). Loaded only then.
"""

import asyncio
import json
import os
import socket
import time

from micropython import const

from linli_app.tasks import begun, ended, outcome, within
from linli_node import first_page
from linli_node.errors import ConfigError

OPEN_S = 900
AGAIN_S = 300
"""Where it came back by itself."""
_REQUEST_S = const(15)
_HERE = const("0.0.0.0")  # noqa: S104 - there is no other network than the board's own
_MAX_HEAD = const(2048)
_MOST_HEARD = const(65536)


class FirstStart:
    """The page, served until it was filled in.

    Args:
        root: The folder that the board's files lie in.
        air: The access point: ``address``, ``port``, ``dns``, ``kind``, ``has_pin``.
    """

    def __init__(self, root, air):
        self._root = root
        self._air = air
        self.is_done = False

    async def serve(self, reader, writer):
        """Answer one request."""
        try:
            await within(_REQUEST_S, self._answer(reader, writer))
        except (OSError, ValueError, EOFError, asyncio.TimeoutError) as exc:
            # Whoever asked is gone, or says nothing that can be understood.
            print("no request: " + str(exc))  # noqa: T201 - the serial line is all there is
        finally:
            writer.close()
            await writer.wait_closed()

    async def _answer(self, reader, writer):
        head, room = [], _MAX_HEAD
        while True:
            line = await reader.readline()
            room -= len(line)
            if room < 0 or not line:
                await _say(writer, "431 Too Large", ("too much",))
                return
            if line == b"\r\n":
                break
            head.append(line.decode().strip())
        words = head[0].split() if head else ()
        fields = {line[: line.find(":")].lower(): line[line.find(":") + 1 :].strip() for line in head[1:]}
        lang = first_page.language(fields.get("accept-language", ""))
        if len(words) != 3 or words[0] not in ("GET", "HEAD", "POST"):
            await _say(writer, "400 Bad Request", first_page.page(lang))
        elif words[0] == "POST":
            await self._posted(reader, writer, fields, lang)
        elif words[1] != "/":
            # Phones ask for pages of their makers to find out whether they are in the Internet: they are shown here.
            where = "http://" + self._air.address + "/"
            await _say(writer, "302 Found", (), "Location: " + where + "\r\n")
        else:
            await _say(writer, "200 OK", first_page.page(lang, self._mistakes(lang), is_there=True))

    async def _posted(self, reader, writer, fields, lang):
        length = fields.get("content-length", "")
        if not length.isdigit() or int(length) > first_page.MAX_BODY:
            # It is heard out as far as that is bearable: a phone shows no answer that breaks off what it sends.
            left = min(int(length), _MOST_HEARD) if length.isdigit() else 0
            while left > 0 and (part := await reader.read(min(left, 512))):
                left -= len(part)
            problem = "more than " + str(first_page.MAX_BODY) + " bytes were sent"
            await _say(writer, "413 Too Large", first_page.page(lang, (problem,)))
            return
        sent = {}
        try:
            sent = first_page.form(await reader.readexactly(int(length)))
            found, keys = first_page.read(sent, lambda data: self._load(data, lang), lang, self._there())
            self._keep(found, keys)
        except (ConfigError, ValueError, OSError) as exc:
            text = str(exc) if isinstance(exc, ConfigError) else "what was sent cannot be read"
            await _say(writer, "422 Unprocessable", first_page.page(lang, text.split("\n"), sent))
            return
        try:
            await _say(writer, "200 OK", first_page.done(lang))
        finally:
            # It is kept, whether or not the phone waits for the word of it.
            self.is_done = True

    def _written(self):
        """Return the configuration that the board has; nothing where it has none."""
        try:
            with open(self._root + "/node.json", "rb") as file:
                return file.read()
        except OSError:
            return b""

    def _there(self):
        """Return the same for what is sent to go over it; an empty one where it cannot be read."""
        try:
            there = self._written().decode()
            return there if isinstance(json.loads(there), dict) else "{}"
        except ValueError:
            return "{}"

    def _mistakes(self, lang):
        """Return what is wrong with it, in lines."""
        written = self._written()
        try:
            if written:
                self._load(written, lang)
        except ConfigError as exc:
            return str(exc).split("\n")
        return ()

    def _load(self, data, lang):
        """Check a configuration, and whether it is for this board: whoever is here can still take another pin."""
        from linli_app.fitting import fits  # noqa: PLC0415 - needed once in a board's life

        return fits(data, self._air.kind, self._air.has_pin, lang)

    def _keep(self, found, keys):
        """Write the keys, and then the configuration: with it the board is a node."""
        if keys and "keys" not in os.listdir(self._root or "/"):
            os.mkdir(self._root + "/keys")
        for name, content in keys.items():
            with open(self._root + "/keys/" + name, "wb") as file:
                file.write(content)
        with open(self._root + "/node.json.new", "wb") as file:
            file.write(json.dumps(found).encode())
        os.rename(self._root + "/node.json.new", self._root + "/node.json")

    async def names(self):
        """Tell whoever asks for a name that it is here."""
        asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asked.bind(socket.getaddrinfo(_HERE, 53)[0][-1])
        asked.setblocking(False)
        while True:
            await asyncio.sleep_ms(20)
            try:
                query, who = asked.recvfrom(512)
                answer = first_page.dns_answer(query, self._air.address)
                if answer is not None:
                    asked.sendto(answer, who)
            except OSError:
                continue


async def _say(writer, status, pieces, more=""):
    head = "HTTP/1.0 " + status + "\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
    writer.write((head + more + "\r\n").encode())
    for piece in pieces:
        writer.write(piece.encode())
        await writer.drain()
    await writer.drain()


def passphrase(root):
    """Return what is printed on the board's label; ``linli-edge node flash`` takes the same for one.

    Raises:
        ConfigError: The board has none: it opens no network that anybody could join.
    """
    try:
        with open(root + "/label", "rb") as file:
            found = file.read().strip()
    except OSError:
        found = b""
    if not 8 <= len(found) <= 63 or min(found) < 32 or max(found) > 126:
        raise ConfigError("this board has no configuration yet: linli-edge node provision writes one")
    return found.decode()


async def first_start(root, air):
    """Open the network and serve the page; tell whether it was filled in before the time was over."""
    air.open(passphrase(root))
    first, fault, started = FirstStart(root, air), [], time.ticks_ms()
    seconds = AGAIN_S if air.is_again else OPEN_S
    server = await asyncio.start_server(first.serve, _HERE, air.port)
    naming = begun(first.names(), fault) if air.dns else None
    try:
        while not first.is_done and time.ticks_diff(time.ticks_ms(), started) < seconds * 1000:
            air.feed()
            if fault:
                outcome(fault)
            await asyncio.sleep_ms(100)
        # The last page is on its way still.
        await asyncio.sleep_ms(500)
    finally:
        if naming is not None:
            await ended(naming)
        server.close()
        air.close()
    return first.is_done
