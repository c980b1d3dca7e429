"""The pace of a chip: its slower interpreter, its flash, its way over the radio, waited for while a program runs."""

import socket
import time

import vfs

_BEGUN = time.ticks_us()
import asyncio  # noqa: E402 - a chip's firmware has it too, and begins it anew at each wake

_STREAM = asyncio.StreamReader
_ASYNCIO_MS = time.ticks_diff(time.ticks_us(), _BEGUN) / 1000
_MODULES = ("/linli_app", "/linli_node", "linli_loader")
_SOURCE = "main.py"


class Pace:
    """Makes this process as slow as the chip.

    Args:
        times: What was declared.
        trace: A file, for what was done, and when, in milliseconds since the wake.

    Attributes:
        writes: How often the flash was written to.
        loads: How many modules were found on the file system and read.
        dozed: Milliseconds with everything but the memory switched off.
    """

    def __init__(self, times, trace):
        self.times = times
        self._slower = times["slower"] - 1
        self._owed = _ASYNCIO_MS * times["slower"]
        self.writes = self.loads = self.dozed = 0
        self._trace = trace
        self.begun = time.ticks_ms()
        self._look()

    def _look(self):
        self._cpu, self._wall = time.clock(), time.ticks_us()

    def since(self):
        """Return milliseconds since the wake, the boot included."""
        return self.times["boot_ms"] + time.ticks_diff(time.ticks_ms(), self.begun)

    def note(self, text):
        """Write down what is done now."""
        self._trace.write(str(self.since()) + " " + text + "\n")

    def settle(self):
        """Wait for what the chip would have taken until now; return how long that was."""
        # The processor's own clock has whole milliseconds only; the other goes on while somebody else has it.
        used = min(time.ticks_diff(time.ticks_us(), self._wall) / 1000, (time.clock() - self._cpu) * 1000 + 1)
        self._owed += used * self._slower
        waited = int(self._owed)
        if waited:
            time.sleep_ms(waited)
            self._owed -= waited
        self._look()
        return waited

    def spend(self, milliseconds, what=""):
        """Take so long; what the desktop itself has computed since the last settlement costs the chip nothing."""
        if what:
            self.note(what)
        self._look()
        self._owed += milliseconds

    def keep(self):
        """Let the event loop settle before it waits: waiting itself costs only the desktop something."""
        wait = asyncio.core.IOQueue.wait_io_event

        def waited(queue, milliseconds):
            settled = self.settle()
            wait(queue, max(0, milliseconds - settled) if milliseconds > 0 else milliseconds)
            self.spend(0)

        asyncio.core.IOQueue.wait_io_event = waited


class Read:
    """A file that is read from."""

    def __init__(self, file, pace):
        self._file = file
        self._pace = pace

    def _read(self, found, count):
        self._pace.spend(self._pace.times["kb_ms"] * count / 1024)
        return found

    def read(self, count=-1):
        """Return bytes."""
        self._pace.settle()
        found = self._file.read(count)
        return self._read(found, len(found))

    def readinto(self, buffer):
        """Fill a buffer."""
        self._pace.settle()
        count = self._file.readinto(buffer)
        return self._read(count, count)

    def seek(self, *where):
        """Go somewhere."""
        return self._file.seek(*where)

    def close(self):
        """Let go."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


class Flash:
    """The chip's file system: a folder in which it takes its time to look, to read and to write, as on littlefs."""

    def __init__(self, folder, pace):
        self._files = vfs.VfsPosix(folder)
        # The one with a root puts both names of a rename together in the same place.
        self._whole = vfs.VfsPosix()
        self._folder = folder
        self._pace = pace

    def mount(self, readonly, mkfs):
        """Begin."""
        self._files.mount(readonly, mkfs)

    def umount(self):
        """End."""

    def chdir(self, path):
        """Be in a folder: there is the root."""

    def getcwd(self):
        """Return where one is."""
        return "/"

    def _takes(self, kind, path, done):
        """Do something to a file, and wait for it."""
        # What the search for a module looks at is in what a module takes.
        free = any(name in path for name in _MODULES) or path.endswith(_SOURCE)
        self._pace.settle()
        try:
            return done()
        finally:
            self._pace.spend(0 if free else self._pace.times[kind], "" if free else kind[:-3] + " " + path)

    def stat(self, path):
        """Tell what is there."""
        return self._takes("look_ms", path, lambda: self._files.stat(path))

    def ilistdir(self, path):
        """Tell what is in a folder."""
        return self._takes("look_ms", path, lambda: self._files.ilistdir(path))

    def open(self, path, mode):
        """Open a file; a module's is read too."""
        if path.endswith(".mpy"):
            self._pace.settle()
            file = self._files.open(path, mode)
            self._pace.loads += 1
            self._pace.spend(self._pace.times["module_ms"], "load " + path)
            return file
        if path.endswith(_SOURCE):
            return self._files.open(path, mode)
        if mode[0] == "r":
            return self._takes("read_ms", path, lambda: Read(self._files.open(path, "rb"), self._pace))
        self._pace.writes += 1
        return self._takes("write_ms", path, lambda: self._files.open(path, mode))

    def remove(self, path):
        """Throw a file away."""
        self._takes("write_ms", path, lambda: self._files.remove(path))

    def rename(self, old, new):
        """Give a file another name."""
        self._takes("write_ms", new, lambda: self._whole.rename(self._folder + old, self._folder + new))

    def mkdir(self, path):
        """Make a folder."""
        self._takes("look_ms", path, lambda: self._files.mkdir(path))


class Air:
    """A stream over the radio."""

    def __init__(self, stream, pace):
        self._stream = stream
        self._pace = pace

    async def read(self, count):
        """Receive."""
        data = await self._stream.read(count)
        await asyncio.sleep_ms(self._pace.times["air_ms"])
        self._pace.note("heard " + str(len(data)) + " bytes")
        return data

    def write(self, data):
        """Send."""
        self._pace.settle()
        self._pace.note("sends " + str(len(data)) + " bytes")
        self._stream.write(data)

    async def drain(self):
        """Send what waits."""
        await self._stream.drain()

    def close(self):
        """End it."""
        self._stream.close()

    async def wait_closed(self):
        """Wait for the end."""
        await self._stream.wait_closed()


def connecting(pace):
    """Return what opens a connection: the way there and back, and the chip's part of the handshake are waited for."""

    async def opened(host, port, ssl=None, server_hostname=None):
        pace.settle()
        times = pace.times
        connected = socket.socket()
        connected.connect(socket.getaddrinfo(host, port)[0][-1])
        pace.spend(times["air_ms"], "connected")
        if ssl is not None:
            pace.settle()
            cpu = time.clock()
            # All of it now: later it could not be told from what the program computes.
            connected = ssl.wrap_socket(connected, server_hostname=server_hostname)
            own = (time.clock() - cpu) * 1000
            # Without a certificate almost nothing is computed.
            computed = times["shared_ms" if "PSK" in connected.cipher()[0] else "tls_ms"]
            pace.spend(max(0, computed + 2 * times["air_ms"] - own), "handshake")
        connected.setblocking(False)
        pace.settle()
        air = Air(_STREAM(connected), pace)
        return air, air

    return opened
