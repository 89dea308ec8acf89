import pytest

from rtmo.documents import parse_json, parse_yaml
from rtmo.errors import InputError

DEEP = b"[" * 100_000
LONG = b"9" * 5000  # digits; Python reads 4300, for more take time without end
# nine lines, a thousand million words
LAUGHS = b"a0: &a0 [ha]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 10)
)


def test_plain_documents():
    assert parse_json(b'{"a": [1, NaN]}', "a.json")["a"][0] == 1
    assert parse_yaml("name: Käthe\nsizes: [1, 2]".encode(), "a.yaml") == {"name": "Käthe", "sizes": [1, 2]}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", DEEP, b'{"a":' * 100_000, LONG])
def test_what_is_no_json_is_refused(content):
    with pytest.raises(InputError, match=r"^a\.json: not valid JSON \("):
        parse_json(content, "a.json")


@pytest.mark.parametrize(
    "content", [b"[", b"\xff", b"2001-99-99", DEEP[:5000], LONG, LAUGHS, b"a: !!python/object/apply:os.getcwd []"]
)
def test_what_is_no_plain_yaml_is_refused(content):
    with pytest.raises(InputError, match=r"^a\.yaml: no YAML \(") as refused:
        parse_yaml(content, "a.yaml")
    assert len(str(refused.value)) < 1000
