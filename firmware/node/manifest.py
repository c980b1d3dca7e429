"""The node's program with what it rests on, for a firmware build that freezes them."""

include("../lib")  # noqa: F821 - a word of the manifest's language
require("ssl")  # noqa: F821
require("onewire")  # noqa: F821
package("linli_app", opt=3)  # noqa: F821
