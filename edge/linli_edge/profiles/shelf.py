"""The profiles of one driver: files in its package, or files of an operator's own."""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from linli_core.errors import ConfigError
from linli_edge.config.file import load_toml

_SUFFIX: Final = ".toml"


class Profile(Protocol):
    """What every driver's profile says of itself, whatever else is in it."""

    @property
    def name(self) -> str:
        """What a device's ``profile = "…"`` says."""
        ...

    @property
    def make(self) -> str:
        """Manufacturer."""
        ...

    @property
    def model(self) -> str:
        """Model or family."""
        ...

    @property
    def manual(self) -> str:
        """The document it was taken from."""
        ...

    @property
    def verified(self) -> str:
        """What was checked against a device or a recording, and what is from documents only."""
        ...

    @property
    def title(self) -> Mapping[str, str]:
        """For people, in ``zh`` and ``en``."""
        ...


ProfileT_co = TypeVar("ProfileT_co", bound=Profile, covariant=True)


@dataclass(frozen=True, slots=True)
class Shelf(Generic[ProfileT_co]):
    """Where a driver's profiles are, and how one is read.

    Attributes:
        package: The driver's package; ``profiles/`` and ``testcases/`` are in it.
        parse: Returns the profile that a file's tables declare, given its name, the tables, and where they stand;
            raises ``ConfigErrors`` with everything that is wrong.
    """

    package: str
    parse: Callable[[str, Mapping[str, object], str], ProfileT_co]

    @property
    def folder(self) -> Traversable:
        """The folder of the profiles that ship."""
        return files(self.package) / "profiles"

    def names(self) -> list[str]:
        """Return the names of the profiles that ship with the driver."""
        return sorted(item.name.removesuffix(_SUFFIX) for item in self.folder.iterdir() if item.name.endswith(_SUFFIX))

    def text(self, name: str) -> str:
        """Return the file of a profile that ships."""
        return (self.folder / f"{name}{_SUFFIX}").read_text(encoding="utf-8")

    def load(self, name: str, where: str) -> ProfileT_co:
        """Return a profile by its name, or by the path of a ``.toml`` file.

        Args:
            name: A shipped profile's name, or a path that ends in ``.toml``.
            where: Place of the reference in the configuration.

        Raises:
            ConfigError: No such profile, or its file is wrong; then the place is in that file.
        """
        if name.endswith(_SUFFIX):
            path = Path(name)
            return self.parse(path.stem, load_toml(path), str(path))
        known = self.names()
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            remedy = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}; or name a .toml file"
            raise ConfigError(where, f'no profile is called "{name}"', remedy)
        return self.parse(name, tomllib.loads(self.text(name)), f"profile {name}")

    def cases(self, name: str) -> list[str]:
        """Return the names of the cases in which a profile is used."""
        cases = files(self.package) / "testcases"
        if not cases.is_dir():
            return []
        mention = f'profile = "{name}"'
        return sorted(
            case.name
            for case in cases.iterdir()
            if (config := case / "config.toml").is_file() and mention in config.read_text(encoding="utf-8")
        )
