"""``area``: the places there are, with what people call them."""

from collections.abc import Iterator

from linli_platform.influxql.catalogue import LANGUAGES
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import Row, Table


def _rows(known: Known) -> Iterator[Row]:
    seen = None if known.everything else known.places.areas_of(known.sees)
    for area in known.places.areas():
        if seen is not None and area.id not in seen:
            continue
        titles = {f"title_{lang}": area.titles.get(lang, area.id) for lang in LANGUAGES}
        labels = {f"label_{lang}": f"{area.titles.get(lang, area.id)} [{area.id}]" for lang in LANGUAGES}
        tags = {"area": area.id, "area_kind": area.kind, **labels, **known.places.tags_of_area(area.id)}
        yield Row(known.now, tags, {"parent": area.parent or None, **titles})


AREAS = Table("area", {"parent": Kind.STRING, "title_en": Kind.STRING, "title_zh": Kind.STRING}, _rows)
