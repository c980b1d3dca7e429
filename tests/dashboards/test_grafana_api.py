"""What the published description of Grafana's API is read as, and what it makes of requests."""

import re
from pathlib import Path

import pytest

from linli_sim.grafana_api import Description, NoDescription, folder, read

CLIENT = """
	op := &runtime.ClientOperation{
		ID:                 "savePartByUID",
		Method:             "POST",
		PathPattern:        "/parts/{uid}",
	}
	op := &runtime.ClientOperation{
		ID:                 "findParts",
		Method:             "GET",
		PathPattern:        "/parts/search",
	}
"""
MODEL = """
type Part struct {
	Base

	// title
	// Required: true
	Title *string `json:"title"`

	// Enum: [small large]
	Size string `json:"size,omitempty"`

	// how many
	Count int64 `json:"count,omitempty"`

	Inner []*Part `json:"inner,omitempty"`

	Marks map[string]bool `json:"marks,omitempty"`

	Any JSON `json:"any,omitempty"`
}
"""


@pytest.fixture
def small(tmp_path: Path) -> Description:
    """Return a description of sources in the generator's form, small and made up."""
    parts, models = tmp_path / "client" / "parts", tmp_path / "models"
    parts.mkdir(parents=True)
    models.mkdir()
    (parts / "parts_client.go").write_text(CLIENT)
    (parts / "save_part_by_ui_d_parameters.go").write_text("type X struct {\n\tBody *models.Part\n}\n")
    (parts / "save_part_by_ui_d_responses.go").write_text("type SavePartOK struct {\n\tPayload *models.Part\n}\n")
    (parts / "find_parts_parameters.go").write_text('r.SetQueryParam("page", qPage)\n')
    (parts / "find_parts_responses.go").write_text("type FindPartsOK struct {\n\tPayload []*models.Part\n}\n")
    (models / "part.go").write_text(MODEL)
    (models / "base.go").write_text('type Base struct {\n\tUID string `json:"uid,omitempty"`\n}\n')
    (models / "json.go").write_text("type JSON interface{}\n")
    return read(tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        {"title": "a"},
        {"title": "a", "uid": "u", "size": "small", "count": 2, "inner": [{"title": "b"}], "marks": {"x": True}},
        {"title": "a", "any": [1, {"two": None}]},
    ],
)
def test_what_it_has(small: Description, body: object) -> None:
    assert list(small.judge("POST", "/parts/u1", {}, body)) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "body is no object"),
        ({}, "body.title is missing"),
        ({"title": 1}, "body.title is no string: 1"),
        ({"title": "a", "titel": "b"}, "body has no field 'titel'"),
        ({"title": "a", "size": "huge"}, "body.size is none of small, large: 'huge'"),
        ({"title": "a", "count": True}, "body.count is no int64: True"),
        ({"title": "a", "inner": [{"title": "b"}, {}]}, "body.inner[1].title is missing"),
        ({"title": "a", "inner": {}}, "body.inner is no list"),
        ({"title": "a", "marks": {"x": 1}}, "body.marks.x is no bool: 1"),
    ],
)
def test_what_it_has_not(small: Description, body: object, said: str) -> None:
    assert list(small.judge("POST", "/parts/u1", {}, body)) == [f"POST /parts/{{uid}}: {said}"]


def test_paths_and_queries_it_has_not(small: Description) -> None:
    assert list(small.judge("GET", "/parts/search", {"page": 1}, None)) == []
    assert list(small.judge("GET", "/parts/search", {"pages": 1}, None)) == [
        "GET /parts/search: no value 'pages' in its query"
    ]
    assert list(small.judge("GET", "/parts/search", {}, {"x": 1})) == ["GET /parts/search: takes no body"]
    assert list(small.judge("DELETE", "/parts/u1", {}, None)) == ["DELETE /parts/u1: no such operation"]


def test_an_answer_need_not_hold_all_and_may_hold_nothing_else(small: Description) -> None:
    assert list(small.judge_answer("GET", "/parts/search", [{}])) == []
    assert list(small.judge_answer("GET", "/parts/search", [{"secret": 1}])) == [
        "GET /parts/search: answer[0] has no field 'secret'"
    ]


def test_grafanas_own_description_is_read_whole_and_refuses_a_slip_of_the_pen() -> None:
    try:
        description = read(folder())
    except NoDescription as exc:
        pytest.skip(str(exc))
    assert len(description.operations) > 300
    assert len(description.models) > 300
    named = {
        name
        for operation in description.operations
        for name in re.findall(r"models\.(\w+)", f"{operation.body} {operation.payload}")
    }
    assert named <= description.models.keys() | description.aliases.keys()
    assert list(description.judge("POST", "/folders", {}, {"uid": "linli", "title": "Linli"})) == []
    assert list(description.judge("POST", "/folders", {}, {"uid": "linli", "titel": "Linli"})) == [
        "POST /folders: body has no field 'titel'"
    ]
