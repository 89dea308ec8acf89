import pytest

from rtmo.errors import InputError
from rtmo.training.redaction import redacted, refuse_secrets

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "value",
    [
        {"api_key": SECRET, "project": "rtmo"},
        {"logger": [{"WANDB_API_KEY": SECRET}]},
        {"aws_secret_access_key": SECRET},
        {"token": SECRET, "accessToken": SECRET},
        {"shards": f"https://me:{SECRET}@example.org/set"},
        {"shards": f"s3://{SECRET}@bucket/set"},
        {"shards": f"https://example.org/set?part=1&X-Amz-Signature={SECRET}&x=2"},
        {"shards": f"https://example.org/set?access_token={SECRET}"},
        {"shards": f"https://example.org/set?sv=2024&sig={SECRET}"},
        f"postgresql+psycopg://me:{SECRET}@host:5432/optuna",
    ],
)
def test_secrets_become_stars(value):
    text = str(redacted(value))
    assert SECRET not in text
    assert "***" in text


@pytest.mark.parametrize(
    "value",
    [
        {"num_tokens": 3, "tokenizer": "x", "token": None, "password": ""},
        {"path": "/data/a@b/c", "url": "https://example.org:8080/a?b=c", "shards": "s3://bucket/set"},
        ("a:b@c", 1.5, None, True, ["x"]),
        {"sources": {"tokyo": 1}, "monkey": "x", "signal": "y"},
    ],
)
def test_other_values_stay_as_they_are(value):
    assert redacted(value) == value


@pytest.mark.parametrize(
    "override",
    [
        f"+logger.wandb.api_key={SECRET}",
        f"++logger.wandb={{project: x, api_key: {SECRET}}}",
        f"data.shards=https://me:{SECRET}@example.org/set",
        f"data.shards='https://example.org/set?token={SECRET}'",
    ],
)
def test_secrets_on_the_command_line_are_refused_without_being_repeated(override):
    with pytest.raises(InputError, match=r"holds a secret.*\$\{oc\.env:NAME\}") as refused:
        refuse_secrets(["seed=1", override])
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "override",
    [
        "+logger.wandb.api_key=${oc.env:KEY}",
        "+callbacks.x.token=${logger.wandb.token}",
        "data.shards=s3://bucket/set",
        "x.token=null",
        "+x={token: null, password: false}",
        "+model.num_tokens=16",
        "+model.parts={token_width: 3, tokenizer: bytes}",
    ],
)
def test_what_is_no_secret_is_accepted(override):
    refuse_secrets(["seed=1", override])
