"""Tests for credentials: their recognition, and that no file of a store contains one."""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import Project
from waiting import wait_until

from recorder import codec
from recorder.capture.code.function import Described, Place, describe
from recorder.capture.config import encode_config
from recorder.capture.environment.environment import allowed_variables
from recorder.secrets import patterns
from recorder.secrets.contents import texts_of
from recorder.secrets.filenames import is_secret_file
from recorder.secrets.names import kind_of, promises_secret
from recorder.secrets.register import Secrets, marker_of, same_key
from recorder.secrets.scrub import HELD_BYTES, REDACTED, Rules, Scrubber
from recorder.secrets.urls import without_credentials

SECRET = "correct-horse-battery"
X = "Zx8QmT4vLr2NwK7pYb3HsD9fGc5JtA1eUo6i"  # 36 random letters and digits
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{X * 2}\n{X[::-1] * 2}==\n-----END RSA PRIVATE KEY-----"
# Recognized by format alone, under names that suggest nothing.
FORMS = [
    f"ghp_{X}", f"github_pat_11ABCDEFG0_{X}", f"glpat-{X[:20]}", f"AKIA{X.upper()[:16]}", f"hf_{X[:34]}",
    f"xoxb-123456789012-{X[:24]}", f"sk-proj-{X}", f"sk-ant-api03-{X}", f"sk-{X}12", f"AIza{X[:35]}", f"npm_{X}",
    f"sk_live_{X[:24]}", f"pypi-AgEIcHlwaS5vcmc{X}{X}", f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{X}", PEM,
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={X}{X}==;EndpointSuffix=core.windows.net",
    f"Authorization: Bearer {X}", "Authorization: Basic dXNlcjpwYXNzd29yZA==", f"https://h/b?sig={X}&x=1",
    f"postgresql+psycopg2://me:{SECRET}@db.example.org:5432/x", f"https://me:p@ss{SECRET}@example.org",
    f"host=db user=me password={SECRET} dbname=x", f"https://h/?api_key={SECRET}", f"dapi{'0a' * 16}",
]  # fmt: skip
# Common config values that must stay readable.
HARMLESS: list[tuple[str, Any]] = [
    ("pad_token", "<pad>"), ("eos_token", "</s>"), ("bos_token", "<|endoftext|>"), ("unk_token", "[UNK]"),
    ("mask_token", "mask"), ("image_token", "IMG_CONTEXT"), ("token", "<image>"), ("stop_token", "Observation:"),
    ("special_tokens", ["<a>", "<b>"]), ("max_tokens", 128), ("max_new_tokens", 256), ("n_tokens", 5),
    ("num_tokens", 10**9), ("token_count", 3), ("token_dim", 64), ("tokenizer", "bert-base-uncased"),
    ("tokenizer_name", "gpt2"), ("token_type", "wordpiece"), ("eos_token_id", 2), ("author", "Jane Doe"),
    ("secretary", "Jane Doe"), ("password_length", 8), ("password_file", "/run/secrets/db"), ("auth", "basic"),
    ("use_auth_token", True), ("use_auth", False), ("auth_type", "kerberos-gssapi"), ("password", None),
    ("password", ""), ("password", "${DB_PASSWORD}"), ("api_key", "{{ secrets.KEY }}"), ("token", 17),
    ("key", "value-of-the-key"), ("rng_key", "0x1234567890"), ("sort_key", "accuracy"), ("public_key", "ssh-rsa AAAA"),
    ("num_key_value_heads", 8), ("compass", "north-by-northwest"), ("forward_pass", "first"), ("passes", 3),
    ("url", "https://user@example.org/x"), ("url", "http://localhost:8080/a@b"), ("url", "s3://bucket/key"),
    ("commit", "0a" * 20), ("digest", "blake3:" + "0a" * 32), ("path", "/data/task-classification-validation-set-large"),
    ("run_name", "sk-learn-baseline-2024"), ("metric", "risk-adjusted-return-on-capital-allocation-x"),
    ("model", "meta-llama/Llama-2-7b-chat-hf"), ("ckpt", "hf_transformers_bert_base_uncased_finetuned"),
    ("text", "my password is long; the token: abc"), ("prompt", "Bearer of good news everywhere and always"),
    ("layers", "eyJust.a.word"), ("monkey", "banana-banana-banana"), ("keyboard", "qwertyuiop-layout"),
]  # fmt: skip
NAMES = [
    "password", "db_password", "dbPassword", "DB_PASSWORD", "passwd", "pwd", "passphrase", "secret", "client_secret",
    "api_key", "apikey", "apiKey", "OPENAI_API_KEY", "access_key", "secret_key", "aws_secret_access_key", "private_key",
    "credentials", "auth", "authorization", "cookie", "token", "hf_token", "access_token", "authToken", "password2",
    "smtp_pass", "password_hash", "wandb_key", "session_cookie", "bearer",
]  # fmt: skip


def redacted(arguments: dict[str, Any], **options: Any) -> tuple[dict[str, Any], Secrets]:
    """Return the redacted forms of a config, and the secrets with the list of what was redacted."""
    secrets = Secrets(**options)
    return encode_config(arguments, secrets=secrets).forms, secrets


def holders(store: Path, text: str) -> list[str]:
    """Return the files of a store that contain the text: raw, in base64, or in hex digits."""
    data = text.encode()
    found = []
    for path in sorted(store.rglob("*")):
        if path.is_file() and "code.git" not in path.relative_to(store).parts:
            held = path.read_bytes()
            if data in held or data.hex().encode() in held:
                found.append(str(path.relative_to(store)))
    return found


# Recognition


@pytest.mark.parametrize("name", NAMES)
def test_names_that_promise_a_credential(name: str) -> None:
    """A string under such a name is redacted, and the record has the place and the reason."""
    forms, secrets = redacted({name: SECRET})
    assert codec.tag_of(forms[name]) == "$redacted" and SECRET not in json.dumps(forms)
    (found,) = secrets.found
    assert found.place == f"config.{name}" and found.marker == marker_of(SECRET) and found.reason


@pytest.mark.parametrize("value", FORMS)
def test_values_that_are_credentials_by_their_form(value: str) -> None:
    """URLs with a password and known formats are redacted under any name, and anywhere in a text."""
    for given_value in (
        value,
        f"before {value} after",
        {"a": [value]},
        (value,),
        {value: 1},
        {value},
    ):
        forms, secrets = redacted({"x": given_value})
        assert codec.has_tag(forms["x"], "$redacted") and value not in json.dumps(forms)
        assert secrets.found and secrets.found[0].reason


@pytest.mark.parametrize(("name", "value"), HARMLESS)
def test_what_is_none(name: str, value: Any) -> None:
    """Tokenizers' tokens, counts, schemes, files, placeholders, and long names are kept."""
    forms, secrets = redacted({name: value, "inside": {name: value}})
    assert forms[name] == value and forms["inside"] == {name: value} and not secrets.found


def test_a_number_can_be_a_password_and_nothing_else() -> None:
    """An integer is redacted under `password`, and under no other name."""
    forms, _ = redacted({"password": 12345678, "secret": 5, "api_key": 0.5, "max_token": 128})
    assert codec.tag_of(forms["password"]) == "$redacted"
    assert {**forms, "password": 0} == {
        "password": 0,
        "secret": 5,
        "api_key": 0.5,
        "max_token": 128,
    }


def test_the_user_has_the_last_word() -> None:
    """`secrets` redacts any value, and `public` keeps any value, both by dotted place."""
    value = {"dsn": "nothing-to-see", "token": "transformer", "deep": {"n": 5}}
    forms, _ = redacted({"db": value}, named=["db.dsn", "db.deep"], public=["db.token"])
    assert codec.tag_of(forms["db"]["dsn"]) == "$redacted" and forms["db"]["token"] == "transformer"
    assert codec.tag_of(forms["db"]["deep"]["n"]) == "$redacted"


def test_a_value_is_looked_for_everywhere() -> None:
    """A credential found in one place is redacted in all others: earlier, later, and inside a text."""
    forms, secrets = redacted(
        {"command": ["mysql", f"-p{SECRET}"], "password": SECRET, "again": SECRET}
    )
    assert SECRET not in json.dumps(forms) and forms["command"][0] == "mysql"
    assert [one.place for one in secrets.found] == [
        "config.again",
        "config.command[1]",
        "config.password",
    ]
    assert len({one.marker for one in secrets.found}) == 2


def test_variables_are_known_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value of an environment variable with a telling name is redacted in the config, unless it is a path."""
    monkeypatch.setenv("MY_SERVICE_TOKEN", SECRET)
    monkeypatch.setenv("APPLICATION_CREDENTIALS", sys.executable)
    forms, secrets = redacted({"header": f"x-{SECRET}", "python": sys.executable})
    assert codec.tag_of(forms["header"]) == "$redacted" and forms["python"] == sys.executable
    assert "MY_SERVICE_TOKEN" in secrets.found[0].reason


def test_markers_are_keyed() -> None:
    """Equal values have equal markers, different values different ones, and markers do not contain the value."""
    assert marker_of(SECRET) == marker_of(SECRET) != marker_of(SECRET + "x")
    assert marker_of("1") != marker_of(1) and same_key(marker_of(1))
    assert not same_key("00000000-" + marker_of(1).partition("-")[2])


class Client:
    """An object that only a pickle can hold."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


@pytest.mark.parametrize(
    "value",
    [
        Client(host="h", api_key=SECRET),
        Client(inner=Client(settings={"db": [{"password": SECRET}]})),
        Client(url=f"https://me:{SECRET}@example.org"),
        Client(data=f"ghp_{X}".encode()),
        lambda: "Authorization: Bearer 0123456789abcdef",
        Client(a=[{"b": ({"c": [Client(d={"e": [[{"password": SECRET}]]})]},)}]),
    ],
)
def test_an_object_that_holds_one_is_not_pickled(value: Any) -> None:
    """An object that contains a credential, by attribute name or by format, is not pickled."""
    secrets = Secrets()
    found = encode_config({"client": value}, secrets=secrets)
    assert codec.tag_of(found.forms["client"]) == "$redacted" and not found.objects
    assert found.forms["client"]["$redacted"]["type"]


def test_an_object_that_holds_none_is_pickled() -> None:
    """An object without a credential is pickled as usual, and so is one with a tokenizer's tokens."""
    found = encode_config({"client": Client(pad_token="<pad>", lr=0.1, names=["a"])})
    assert codec.tag_of(found.forms["client"]) == "$pickle" and len(found.objects) == 1


def test_large_configs() -> None:
    """A form that is large enough to become an object is redacted first."""
    found = encode_config({"big": {"rows": list(range(5000)), "password": SECRET}})
    assert codec.tag_of(found.forms["big"]) == "$json"
    assert all(SECRET.encode() not in payload for payload in found.objects.values())


def test_pydantic_secrets() -> None:
    """SecretStr and SecretBytes are redacted under any name, in a model or alone, and keep their type."""
    from pydantic import SecretBytes, SecretStr

    forms, _ = redacted({"a": SecretStr("abc"), "b": [SecretBytes(b"defg")]})
    assert forms["a"]["$redacted"]["type"] == "secret pydantic.types:SecretStr"
    assert forms["b"][0]["$redacted"]["marker"] == marker_of(
        codec.encode(SecretBytes(b"defg")).form
    )
    assert codec.decode(codec.encode(SecretStr("abc")).form, bytes).get_secret_value() == "abc"


KEYS = st.sampled_from(["a", "lr", "model", "host", "x y", "$odd"]) | st.integers(0, 3)
LEAVES = st.integers() | st.none() | st.sampled_from(["adam", "resnet", "<pad>"]) | st.floats(0, 1)
WRAP = st.sampled_from(["list", "tuple", "dict", "deep", "client", "set", "text"])


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    value=st.sampled_from(FORMS)
    | st.text("abcdefXYZ0189", min_size=12, max_size=40).map("pw-".__add__),
    wraps=st.lists(WRAP, max_size=4),
    beside=st.dictionaries(KEYS, LEAVES, max_size=3),
)
def test_a_planted_credential_is_never_written(
    name: str, value: str, wraps: list[str], beside: dict[Any, Any]
) -> None:
    """Neither the forms nor a payload contain a credential at any depth in any container."""
    held: Any = {**beside, name: value}
    for wrap in wraps:
        held = {
            "list": [1, held],
            "tuple": (held, "x"),
            "dict": {"a": held, 1: 2},
            "deep": {"b": {"c": held}},
            "client": Client(held=held),
            "set": [{"plain"}, held],
            "text": {"log": f"using {value}.", "held": held},
        }[wrap]
    found = encode_config({"argument": held, "large": [held, "y" * 5000]})
    written = json.dumps(found.forms).encode() + b"".join(found.objects.values())
    assert value.encode() not in written and json.dumps(value)[1:-1].encode() not in written


# Texts, command lines, URLs, files


@pytest.mark.parametrize(
    ("argv", "kept"),
    [
        (["t.py", "--password", SECRET, "--lr", "0.1"], ["t.py", "--password", "[redacted]", "--lr", "0.1"]),
        (["t.py", f"--api-key={SECRET}"], ["t.py", "--api-key=[redacted]"]),
        (["t.py", f"db.password={SECRET}"], ["t.py", "db.password=[redacted]"]),
        (["t.py", f"postgres://me:{SECRET}@h/x"], ["t.py", "postgres://me:[redacted]@h/x"]),
        (["t.py", f"ghp_{X}"], ["t.py", "[redacted]"]),
        (["t.py", "--max-tokens", "128"], ["t.py", "--max-tokens", "128"]),
        (["t.py", "--pad-token=<pad>", "--token-dim", "64"], ["t.py", "--pad-token=<pad>", "--token-dim", "64"]),
        (["t.py", "--password", "--lr", "0.1"], ["t.py", "--password", "--lr", "0.1"]),
    ],
)  # fmt: skip
def test_command_lines(argv: list[str], kept: list[str]) -> None:
    """The value of an option with a telling name, and known formats, are removed from the arguments."""
    secrets = Secrets()
    assert list(secrets.scrub_arguments(argv)) == kept
    assert bool(secrets.found) == (argv != kept)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b.git"),
        (f"https://{X}@github.com/a/b.git", "https://github.com/a/b.git"),
        (f"https://me:{SECRET}@github.com/a", "https://github.com/a"),
        (f"https://me:p@{SECRET}@github.com/a", "https://github.com/a"),
        (f"git+https://me:{SECRET}@github.com/a", "git+https://github.com/a"),
        (f"https://h/a?access_token={SECRET}", "https://h/a?access_token=[redacted]"),
        ("ssh://git@github.com/a/b.git", "ssh://git@github.com/a/b.git"),
        (f"ssh://git:{SECRET}@github.com/a", "ssh://git@github.com/a"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
    ],
)
def test_urls_lose_their_credentials(url: str, kept: str) -> None:
    """A name, password, or token before the host is removed, and ssh's user is kept."""
    assert without_credentials(url) == kept


def test_files_by_their_names() -> None:
    """Files of credentials are recognized by name in any folder and case, and their templates are not."""
    names = ".env .env.local prod.env a/b/id_rsa id_ed25519 x.pem X.PEM server.key .netrc .npmrc credentials .pgpass"
    assert all(is_secret_file(f"folder/{name}") for name in names.split())
    others = (
        ".env.example environment.yml env.py keys.py secrets.py id_rsa.pub tokenizer.json monkey.py"
    )
    assert not any(is_secret_file(name) for name in others.split())


def test_variables() -> None:
    """A variable on the allow-list that looks like a credential, by name or value, is not among the plain ones."""
    given_variables = {
        "NVIDIA_API_KEY": "abcd",
        "TF_X": f"hf_{X[:34]}",
        "TOKENIZERS_PARALLELISM": "true",
    }
    assert allowed_variables(given_variables) == {"TOKENIZERS_PARALLELISM": "true"}


# Streams


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_stream_in_any_pieces(data: st.DataObject) -> None:
    """For any division of a stream into pieces, the result is the same and contains no credential."""
    known = b"two lines\nof a secret"
    words = [
        b"plain text ",
        b"\n",
        b"\r",
        b"loss=0.1 ",
        known,
        SECRET.encode(),
        *(f.encode() for f in FORMS),
    ]
    text = b" ".join(data.draw(st.lists(st.sampled_from(words), max_size=12)))
    rules = Rules(patterns.find)
    rules.set_values([known, SECRET.encode()])
    whole = Scrubber(rules)
    expected = whole.feed(text) + whole.flush()
    pieces = Scrubber(rules)
    written, rest = b"", text
    while rest:
        size = data.draw(st.integers(1, 40))
        written += pieces.feed(rest[:size])
        rest = rest[size:]
    written += pieces.flush()
    assert written == expected
    for secret in (known, SECRET.encode(), X.encode()):
        assert secret not in written
    assert (REDACTED in written) == bool(pieces.found)


def test_a_line_without_end() -> None:
    """Of an endless line, only a few kilobytes are held back, and a credential in it is still found."""
    scrubber = Scrubber(Rules(patterns.find))
    written = b""
    for piece in [b"x " * 3000, b"ghp_", X.encode(), b" y" * 3000] * 5:
        written += scrubber.feed(piece)
        assert len(scrubber._held) <= 2 * HELD_BYTES
    written += scrubber.flush()
    assert X.encode() not in written and written.count(REDACTED) == 5
    assert written.replace(REDACTED, b"") == (b"x " * 3000 + b" y" * 3000) * 5


# Whole runs

EXPERIMENT = f"""
import argparse, os, subprocess, sys, time
from dataclasses import dataclass
from recorder import record, save

@dataclass
class Database:
    host: str
    password: str

@record(public=["pad_token"])
def train(db: Database, url: str, options: dict, token="{X}", pad_token="something-long", wait=""):
    print("connecting with", db.password, repr(db), flush=True)
    sys.stdout.write("key " + url[:20]); sys.stdout.flush(); time.sleep(0.2)  # two reads of the tee
    sys.stdout.write(url[20:] + " end"); sys.stdout.flush()
    subprocess.run([sys.executable, "-c", "import os, sys; sys.stderr.write(os.environ['SERVICE_TOKEN'])"])
    print(options, file=sys.stderr)
    if wait:
        open(wait, "w").close()
        time.sleep(60)
    assert db.password.endswith("2"), db.password
    return {{"used": db.password, "host": db.host, "n": len(db.password)}}

if __name__ == "__main__":
    password = sys.argv[2]
    train(Database("h", password), "https://me:" + password + "@example.org/x", {{"creds": [{{"pin": password}}]}}, wait=sys.argv[3] if len(sys.argv) > 3 else "")
"""
OPTIONS = {"SERVICE_TOKEN": f"service-{X}", "NVIDIA_API_KEY": f"nvidia-{X}"}
PASSWORD = f"{SECRET}-2"


def test_a_run_leaves_no_credential(project: Project) -> None:
    """Config, arguments, variables, signature, result, console, and a child's output leave no credential in the store."""
    project.write("train.py", EXPERIMENT)
    project.python("train.py", "--password", PASSWORD, env=OPTIONS)
    store = project.root / ".recorder"
    assert not holders(store, SECRET) and not holders(store, X)
    record = project.show(1)
    assert record["result"]["host"] == "h" and record["config"]["pad_token"] == "something-long"
    assert {one["place"] for one in record["redacted"]} == {
        "argv[2]", "config.db.password", "config.options.creds[0].pin", "config.token", "config.url", "result.used",
        "signature.token", "stderr", "stdout", "variables.NVIDIA_API_KEY",
    }  # fmt: skip
    assert record["process"]["argv"][1:] == ["--password", "[redacted]"]
    assert "key [redacted] end" in record["stdout"]["text"]
    shown = project.recorder("show", "1").stdout
    assert "config.db.password" in shown and "the name password" in shown


def test_a_failed_run_leaves_none(project: Project) -> None:
    """Neither the message nor the traceback of an exception contains a credential."""
    project.write("train.py", EXPERIMENT)
    project.python("train.py", "--password", f"{SECRET}-1", status=1, env=OPTIONS)
    assert not holders(project.root / ".recorder", SECRET)
    record = project.show(1)
    assert record["failure"]["message"].startswith("[redacted]")
    assert "failure" in {one["place"] for one in record["redacted"]}


def test_nothing_while_it_runs_and_when_it_is_killed(project: Project) -> None:
    """The files of a run in progress, and of a killed one, contain no credential."""
    project.write("train.py", EXPERIMENT)
    command = [sys.executable, "train.py", "--password", PASSWORD, "started"]
    process = subprocess.Popen(command, cwd=project.root, env={**project.env, **OPTIONS})
    store = project.root / ".recorder"
    wait_until((project.root / "started").exists)
    (live,) = (store / "live").iterdir()
    wait_until(lambda: b"connecting" in (live / "stdout").read_bytes())
    assert not holders(store, SECRET) and not holders(store, X)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: b" end" in (live / "stdout").read_bytes())
    assert (live / "stdout").read_bytes().endswith(b"key [redacted] end")
    assert not holders(store, SECRET) and not holders(store, X)


def test_pieces_of_the_console(project: Project) -> None:
    """A credential printed in pieces, in two writes and by two processes, is removed from the file."""
    project.write(
        "p.py",
        f"""
        import os, subprocess, sys, time
        from recorder import record

        @record
        def f():
            for part in ("a ghp_", "{X[:10]}", "{X[10:]}", " b\\n"):
                os.write(1, part.encode())
                time.sleep(0.1)  # so that the tee reads each part by itself
            subprocess.run(["sh", "-c", "printf 'c {X[:5]} hf_'"])
            subprocess.run(["sh", "-c", "printf '{X[:34]}\\n-----BEGIN PRIVATE KEY-----\\n{X}\\n'"])
            time.sleep(0.2)  # so that the tee reads the key in two parts
            subprocess.run(["sh", "-c", "printf '{X}\\n-----END PRIVATE KEY-----\\nd\\n'"])
            return 1

        f()
        """,
    )
    out = project.python("p.py").stdout
    assert X in out  # the terminal shows it as always
    assert (
        project.show(1)["stdout"]["text"]
        == f"a [redacted] b\nc {X[:5]} [redacted]\n[redacted]\nd\n"
    )
    assert not holders(project.root / ".recorder", X)


def test_files_of_credentials(project: Project) -> None:
    """`.env` is neither in the snapshot nor stored as an input, and a replay reads the one in the project."""
    project.write(".env", f"PASSWORD={SECRET}\n")
    project.write(
        "f.py",
        """
        from pathlib import Path
        from recorder import record

        @record
        def f():
            return len(Path(".env").read_text())

        f()
        """,
    )
    project.git("init", "-q")
    project.git("remote", "add", "origin", f"https://me:{SECRET}@example.org/x.git")
    project.python("f.py")
    record = project.show(1)
    assert [one["path"] for one in record["code"]["skipped"]] == [".env"]
    assert record["code"]["remote"] == "https://example.org/x.git"
    assert {"code.remote", "inputs..env"} <= {one["place"] for one in record["redacted"]}
    done = project.recorder("replay", "1", "--keep-workspace")
    assert "reproduced" in done.stdout and not holders_without_links(project.root / ".recorder")
    (project.root / ".env").write_text("other\n")
    assert "changed since run 1: the input" in project.recorder("replay", "1", status=1).stderr
    (project.root / ".env").unlink()
    assert str(project.root / ".env") in project.recorder("replay", "1", status=3).stderr


def holders_without_links(store: Path) -> list[str]:
    return [path for path in holders(store, SECRET) if not (store / path).is_symlink()]


# Replay and diff

SMALL = """
from recorder import record

@record
def f(db: dict, lr: float = 0.1, api_key: bytes = b"0123456789"):
    print("password", db["password"])
    return len(db["password"]) * lr

if __name__ == "__main__":
    import sys
    f({"host": "h", "password": sys.argv[1]})
"""
GIVEN = ["--secret", f"db.password={PASSWORD}", "--secret", "api_key=0123456789"]


@pytest.fixture
def recorded(project: Project) -> Project:
    """A project with one run whose config has two redacted values."""
    project.write("small.py", SMALL)
    project.python("small.py", PASSWORD)
    return project


def test_replay_names_what_it_needs(recorded: Project) -> None:
    """Without the values, a replay does nothing, names the missing ones and how to pass them, and exits with 3."""
    done = recorded.recorder("replay", "1", status=3)
    assert "db.password, api_key" in done.stderr and "--secret db.password" in done.stderr
    assert "RECORDER_SECRET_DB_PASSWORD" in done.stderr
    assert len(recorded.recorder("list").stdout.splitlines()) == 2


def test_replay_with_the_values(recorded: Project) -> None:
    """With the recorded values, passed or from variables, the config is unchanged, and the replay's record has none."""
    assert "reproduced" in recorded.recorder("replay", "1", *GIVEN).stdout
    variables = {"RECORDER_SECRET_DB_PASSWORD": PASSWORD, "RECORDER_SECRET_API_KEY": "0123456789"}
    done = recorded.recorder(
        "replay", "1", "--secret", "db.password", "--secret", "api_key", env=variables
    )
    assert "reproduced" in done.stdout
    first, second = recorded.show(1), recorded.show(2)
    assert first["config"] == second["config"] and first["fingerprint"] == second["fingerprint"]
    assert not holders(recorded.root / ".recorder", SECRET)


def test_replay_refuses_another_value(recorded: Project) -> None:
    """A value that differs from the recorded one is refused, and with --set it is a changed config, redacted as well."""
    other = ["--secret", "db.password=wrong-password", *GIVEN[2:]]
    assert "not the recorded one" in recorded.recorder("replay", "1", *other, status=3).stderr
    done = recorded.recorder("replay", "1", "--set", "db.password=another-password", *GIVEN[2:])
    assert (
        "with a changed config" in done.stdout
        and "another-password" not in done.stdout.split("\n", 1)[1]
    )
    assert not holders(recorded.root / ".recorder", "another-password")
    assert "changed (redacted)" in recorded.recorder("diff", "1", "2", status=None).stdout


def test_replay_of_what_needs_no_secret(recorded: Project) -> None:
    """A key that was not redacted is an error, and so is a missing value without a terminal to ask."""
    assert (
        "needs no secret 'lr'"
        in recorded.recorder("replay", "1", "--secret", "lr=1", status=2).stderr
    )
    assert (
        "RECORDER_SECRET_LR" in recorded.recorder("replay", "1", "--secret", "lr", status=2).stderr
    )


def test_replay_under_another_key(recorded: Project, tmp_path: Path) -> None:
    """On a machine with another key, the value is accepted, with a note that it could not be compared."""
    env = {"RECORDER_KEY_FILE": str(tmp_path / "other-key")}
    done = recorded.recorder("replay", "1", "--trust", *GIVEN, env=env)
    assert "cannot tell whether" in done.stderr and "reproduced" in done.stdout
    assert "not comparable" in recorded.recorder("diff", "1", "2", status=None).stdout


def test_the_worker_shows_nothing(recorded: Project) -> None:
    """During a replay, the value is in no argument or variable of the replaying process."""
    recorded.write(
        "peek.py",
        """
        import os
        from pathlib import Path
        from recorder import record

        @record
        def f(password):
            own = [Path(f"/proc/self/{name}").read_bytes() for name in ("cmdline", "environ")]
            return [password.encode() in one for one in own]

        if __name__ == "__main__":
            f(os.environ.pop("GIVEN"))
        """,
    )
    recorded.python("peek.py", env={"GIVEN": PASSWORD})
    env = {"RECORDER_SECRET_PASSWORD": PASSWORD}
    recorded.recorder("replay", "last", "--secret", "password", env=env, status=None)
    assert recorded.show("last-replay")["result"] == [False, False]


def test_diff_of_redacted_places(project: Project) -> None:
    """Arguments and consoles that differ only in a credential are reported as different by their markers."""
    project.write("small.py", SMALL)
    for password in (PASSWORD, PASSWORD, "another-password-2"):
        project.python("small.py", password)
    said = project.recorder("diff", "1", "2", "--only", "config").stdout
    assert said == "run 1 and run 2: no difference in config\n"
    same = json.loads(project.recorder("diff", "1", "2", "--json", status=None).stdout)["sections"]
    assert not same["config"] and not same["redacted"]
    changed = json.loads(project.recorder("diff", "1", "3", "--json", status=None).stdout)[
        "sections"
    ]
    assert changed["config"][0]["note"] == "changed (redacted)"
    assert {entry["key"] for entry in changed["redacted"]} == {"argv[1]", "stdout"}


def test_a_class_that_goes_along_with_a_function() -> None:
    """A notebook class that contains a credential is not pickled for its instance among the arguments."""
    place = Place("__main__", None, script=False, installed=False, importable=False)

    def described(**attributes: str) -> Described:
        kind = type("Opt", (), {**attributes, "__module__": "__main__"})
        arguments = {"opts": [{"a": kind()}]}
        return describe(
            lambda opts: 1, place=place, root=None, seed_parameter=None, arguments=arguments
        )

    kept, refused = described(rate="0.5"), described(password=PASSWORD)
    assert kept.function.pickled is not None and not kept.warnings
    assert refused.function.pickled is None and "credential" in refused.warnings[0]


# The decorator


def test_a_name_that_is_no_parameter() -> None:
    """A typing mistake in `secrets` or `public` is an error, because it must not let a credential through."""
    from recorder import record

    def f(dsn: str, **more: Any) -> None: ...

    record(secrets=["dsn", "more.x"], public="dsn")(f)
    with pytest.raises(TypeError, match="'dns'"):
        record(secrets=["dns"])(f)


def test_kinds_of_names() -> None:
    """Whole words of a name count, in any style of writing."""
    assert kind_of("tokenPassword") == "password" and kind_of("x.db-passwd_2") == "password"
    assert kind_of("compassword_length") is None and kind_of("") is None and kind_of("日本") is None
    assert promises_secret("token", "abcd") and not promises_secret("token", "abc")


def test_old_records_still_read() -> None:
    """A record from before redacted values existed can be read."""
    from recorder.records import Record

    document = {"id": "x" * 20, "experiment": "e", "function": {"module": "m", "qualname": "f"}, "started": "2024-01-01T00:00:00Z"}  # fmt: skip
    assert Record.from_document(document).redacted == ()
    assert os.environ["RECORDER_KEY_FILE"]


# Results, words, and credentials that become known during the run


@pytest.mark.parametrize(
    "name",
    [
        "jwt",
        "pat",
        "oauth",
        "connection_string",
        "auth_header",
        "session_id",
        "webhook",
        "mongo_uri",
        "pass_word",
        "pw",
        "key",
    ],
)
def test_more_names(name: str) -> None:
    """Further common names mark a random value as a credential."""
    assert promises_secret(kind_of(name), X)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", "accuracy"), ("key", "model.layers.0.weight"), ("key", "resnet50-imagenet-2024"), ("session", "morning"),
        ("session_id", "2024-05-01"), ("mongo_uri", "mongodb://localhost/db"), ("connection_string", "sqlite:///runs.db"),
        ("webhook", "none"), ("sort_key", "name"), ("password_strength", "weak"),
    ],
)  # fmt: skip
def test_more_names_that_mark_nothing(name: str, value: str) -> None:
    """Such a name does not mark an ordinary value."""
    assert not promises_secret(kind_of(name), value)


RESULTS = """
import os
from recorder import record, save

X = "{x}"

@record
def result(): return {{"token": X[:24], "nested": {{"db": {{"api_key": X[6:]}}}}, "password": X[::-1], "note": "kept"}}

@record
def variable():
    os.environ["LATER_TOKEN"] = X[3:30]
    print("printed", X[3:30], "and kept")
    return X[3:30]

@record
def named(password):
    save({{"a": 1}}, name="v" + password)
    return 1

@record
def text(token="x"): return {{"token": "the", "tokens": ["a", "b"], "key": "loss", "password_strength": 3}}

result()
variable()
named(X)
text()
"""


def test_results_and_late_credentials(project: Project) -> None:
    """Results, a variable set and printed during the run, and a name of an output leave no credential in the store."""
    project.write("late.py", RESULTS.format(x=X))
    done = project.python("late.py")
    assert X[3:30] in done.stdout and "an output's name contains a credential" in done.stderr
    store = project.root / ".recorder"
    for secret in (X[:24], X[6:], X[::-1], X[3:30], X):
        assert holders(store, secret) == []
    shown = [project.show(number) for number in (1, 2, 3, 4)]
    assert shown[0]["result"]["note"] == "kept"
    assert shown[3]["result"] == {
        "token": "the",
        "tokens": ["a", "b"],
        "key": "loss",
        "password_strength": 3,
    }
    assert project.recorder("logs", "2").stdout == f"printed {'*' * 27} and kept\n"
    assert project.recorder("replay", "4").stdout


PLAIN = """
from recorder import record

@record
def train(password, note="training of the model"):
    print("training goes on")
    return "training done"

train("training")
"""


def test_a_password_that_is_a_word(project: Project) -> None:
    """A password that is a plain word is redacted in its place only, with a warning, and the result is verified."""
    project.write("plain.py", PLAIN)
    done = project.python("plain.py")
    assert "config.password is a single word" in done.stderr
    shown = project.show(1)
    assert "training" not in str(shown["config"]["password"])
    assert (shown["config"]["note"], shown["result"]) == ("training of the model", "training done")
    assert project.recorder("replay", "1", "--secret", "password=training").stdout


def test_a_wrapper_of_a_builtin_is_searched() -> None:
    """A function that wraps a builtin without a signature is searched like any other, on every Python version."""

    @functools.wraps(random.seed)
    def wrapper(key: str = SECRET) -> str:
        return key

    assert ("key", SECRET) in list(texts_of(wrapper))
