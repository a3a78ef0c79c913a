import copy
import json
import pickle

import msgspec
import pytest

from cjasync._secret import Secret


def test_shows_nothing_however_it_is_shown():
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, format(secret), str([secret])]  # noqa: UP031
    assert not [text for text in shown if "hunter2" in text]
    assert repr(secret) == "***"
    assert secret.reveal() == "hunter2"


@pytest.mark.parametrize(
    "leak",
    [
        pickle.dumps,
        json.dumps,
        msgspec.json.encode,
        lambda secret: "key=" + secret,
        lambda secret: "".join([secret]),
        lambda secret: f"{secret:>20}",
        vars,
        iter,
        len,
    ],
)
def test_cannot_be_taken_by_accident(leak):
    with pytest.raises(TypeError) as refused:
        leak(Secret("hunter2"))
    assert "hunter2" not in str(refused.value)


def test_compares_and_counts_as_its_text():
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a")
    assert not Secret("")


def test_copies_are_itself():
    secret = Secret("a")
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"key": secret})["key"] is secret
