"""``area``: the places there are, with what people call them."""

from collections.abc import Iterator, Mapping, Sequence

from linli_platform.influxql.catalogue import LANGUAGES
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import Standing, Values
from linli_platform.registry import Area


def _areas(known: Known) -> Iterator[tuple[Mapping[str, str], Area]]:
    seen = None if known.everything else known.places.areas_of(known.sees)
    for area in known.places.areas():
        if seen is None or area.id in seen:
            labels = {f"label_{lang}": f"{area.titles.get(lang, area.id)} [{area.id}]" for lang in LANGUAGES}
            yield {"area": area.id, "area_kind": area.kind, **labels, **known.places.tags_of_area(area.id)}, area


def _values(_known: Known, areas: Sequence[Area]) -> list[Values]:
    return [
        {"parent": area.parent or None, **{f"title_{lang}": area.titles.get(lang, area.id) for lang in LANGUAGES}}
        for area in areas
    ]


AREAS = Standing("area", {"parent": Kind.STRING, "title_en": Kind.STRING, "title_zh": Kind.STRING}, _areas, _values)
