"""The desktop in place of the Wi-Fi that a board opens for its first start."""


def kind():
    """Return which kind of board this is taken for."""
    return "esp32c3"


class AccessPoint:
    """Nothing but a port of this machine."""

    address = "127.0.0.1"
    port = 0
    dns = False
    is_again = False
    kind = kind()

    def open(self, passphrase):
        """Tell that it is open."""
        print("open with a passphrase of", len(passphrase))

    def feed(self):
        """Nothing watches."""

    def has_pin(self, number):
        """Tell whether there is such a pin: as many as on an ESP32-C3."""
        return number < 22

    def close(self):
        """Tell that it is closed."""
        print("closed")

    def rest(self):
        """Sleep until somebody wants it back."""
        print("rests")
