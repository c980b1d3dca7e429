"""Which language a person reads: asked for, remembered, or told by the browser."""

from typing import Final

from starlette.requests import Request

from linli_core.catalogue import LANGUAGES, Language

COOKIE: Final = "linli_lang"


def language_of(request: Request) -> Language:
    """Return the language of a request: ``?lang=``, the cookie, ``Accept-Language``; Chinese where nothing is said."""
    for wish in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        for lang in LANGUAGES:
            if wish == lang:
                return lang
    accepted = request.headers.get("accept-language", "")
    wishes: list[tuple[float, int, str]] = []
    for place, item in enumerate(accepted.split(",")[:20]):
        tag, _, weight = item.partition(";")
        try:
            share = float(weight.strip().removeprefix("q=")) if weight.strip() else 1.0
        except ValueError:
            share = 0.0
        if tag.strip() and share > 0:
            wishes.append((-share, place, tag.strip().lower()))
    if not wishes:
        return "zh"
    return "zh" if min(wishes)[2].split("-")[0] == "zh" else "en"
