"""How long characters take on a serial line."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LineTiming:
    """Speed and form of the characters.

    Attributes:
        baud: Bits per second.
        bits: Bits of one character with start, parity and stop bits: 11 for 8E1, 10 for 8N1.
        turnaround: Seconds that a station takes from the end of a request to the first bit of its answer, the
            silence by which it knows the end included.
        burst: Most characters that the head's serial port hands over together, as the FIFO of a UART does.
    """

    baud: int = 9600
    bits: int = 11
    turnaround: float = 0.005
    burst: int = 14

    @property
    def character(self) -> float:
        """Seconds of one character."""
        return self.bits / self.baud

    @property
    def silence(self) -> float:
        """Seconds of silence that end an RTU frame: 3.5 characters, 1.75 ms at least (serial line V1.02, §2.5.1.1)."""
        return max(0.00175, 3.5 * self.character)

    def exchange(self, asked: int, answered: int) -> float:
        """Return the least seconds from one request to the next.

        Args:
            asked: Characters of the request.
            answered: Characters of the answer; 0 for a request that nobody answers, without the time it is waited for.
        """
        if not answered:
            return asked * self.character
        return (asked + answered) * self.character + max(self.turnaround, self.silence) + self.silence
