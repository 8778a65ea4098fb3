"""How git is called: what it must never run, how long it may take, and every kind of URL."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.access import Access
from fleet.git_repo import open_repository
from fleet.glance import glance
from fleet.local import local_folder
from fleet.port import RefUpdate, RepositoryError, StaleError, UnreachableError
from schemas.names import CommitId
from tests.contract.fleet.conftest import MAIN, NODES, STATE, GitWorld, committed, planted
from tests.forge import PASSWORD, Forge, certificate_for, credentials, serve


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


def is_used(world: GitWorld, url: str, access: Access | None = None) -> None:
    """Everything that travels, once, over this URL."""
    first = planted(world, MAIN, [("100644", b"a", b"1")])
    second = planted(world, MAIN, [("100644", b"a", b"2")], parent=first)
    client = open_repository(url, world.folder / "used.git", access=access)
    world.clients.append(client)

    assert client.fetch(MAIN, STATE, NODES) == {MAIN: second}
    made = committed(client, {"a": b"3"}, parent=second)
    client.push((RefUpdate(MAIN, made, second), RefUpdate(STATE, made, None)))
    client.push_own(f"{NODES}one", made)
    with pytest.raises(StaleError):
        client.push((RefUpdate(MAIN, second, first), RefUpdate(STATE, None, made)))
    with pytest.raises(StaleError):
        client.push((RefUpdate("refs/heads/never", None, made),))

    assert world.refs() == {MAIN: made, STATE: made, f"{NODES}one": made}
    assert client.fetch(MAIN, STATE, NODES) == world.refs()
    assert client.fetch_history(MAIN) == made
    assert [one.id for one in client.log(made, 9)] == [made, second, first]
    folder = str(world.folder / "used.git")
    assert glance(url, folder, [MAIN, "refs/heads/none"], access=access) == {MAIN: made}
    world.refuse()
    with pytest.raises(RepositoryError, match="the branch is protected"):
        client.push_own(f"{NODES}one", first)


# what must never run


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch {mark}",
        "-u touch {mark}",
        "ext::sh -c touch% {mark}",
        "fd::17",
        "ssh://-oProxyCommand=touch {mark}/x",
        "ssh://-oProxyCommand=touch@host/x",
        "https://robot:s3cr3t-token@localhost/x.git",
        "http://example.org/x.git",
        "http://127.0.0.1.example.org/x.git",
        "http://localhost@example.org/x.git",
        "git://localhost/x.git",
        "ftp://localhost/x.git",
        "https:///x.git",
        "a\nb",
        "",
    ],
)
def test_a_url_that_could_do_harm_is_refused(tmp_path: Path, url: str) -> None:
    mark = tmp_path / "mark"

    with pytest.raises(RepositoryError) as caught:
        open_repository(url.format(mark=mark), tmp_path / "m.git").fetch(MAIN)

    assert not mark.exists()
    assert PASSWORD not in str(caught.value)
    assert not isinstance(caught.value, UnreachableError)


def test_hooks_monitors_and_filters_of_the_mirror_never_run(
    git_world: GitWorld, tmp_path: Path
) -> None:
    first = planted(git_world, MAIN, [("100644", b"a", b"1")])
    client = git_world.client()
    client.fetch(MAIN)
    mark = tmp_path / "mark"
    folder = Path(client._mirror.folder)
    run = script(tmp_path / "run", f"touch {shlex.quote(str(mark))}", "exit 0")
    (folder / "hooks").mkdir()
    for hook in ("reference-transaction", "pre-push", "post-update", "pre-auto-gc", "post-fetch"):
        shutil_copy(run, folder / "hooks" / hook)
    for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "credential.helper"):
        subprocess.run(["git", f"--git-dir={folder}", "config", key, str(run)], check=True)
    subprocess.run(
        ["git", f"--git-dir={folder}", "config", "core.hooksPath", str(folder / "hooks")],
        check=True,
    )

    second = planted(git_world, MAIN, [("100644", b"a", b"2")], parent=first)
    client.fetch(MAIN)
    made = committed(client, {"a": b"3"}, parent=second)
    client.push((RefUpdate(MAIN, made, second),))
    client.tree(made)

    assert git_world.refs() == {MAIN: made}
    assert not mark.exists()


@pytest.mark.parametrize("bad", [("n0",), ("n3", "n4"), ("n0", "n1", "n2", "n3", "n4", "n5", "n6")])
def test_objects_that_git_refuses_hide_no_other_ref(
    git_world: GitWorld, bad: tuple[str, ...]
) -> None:
    client = git_world.client()
    good = {
        f"{NODES}n{number}": planted(git_world, f"{NODES}n{number}", [("100644", b"a", b"1")])
        for number in range(7)
    }
    client.fetch(MAIN, NODES)
    main = planted(git_world, MAIN, [("100644", b"a", b"2")])
    gone = good.popitem()[0]
    git_world.git("update-ref", "-d", gone)
    for name in set(bad) - {"n6"}:
        tree = git_world.store("tree", b"")
        head = f"tree {tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n"
        git_world.set_ref(f"{NODES}{name}", git_world.store("commit", head.encode() + b"x\0y\n"))
        del good[f"{NODES}{name}"]

    for _ in range(2):
        assert client.fetch(MAIN, NODES) == {MAIN: main, **good}
        told = client.refused()
        assert {ref: one.at for ref, one in told.items()} == {
            f"{NODES}{name}": git_world.refs()[f"{NODES}{name}"] for name in set(bad) - {"n6"}
        }
        assert all("NUL" in one.why for one in told.values())
    # Who owns such a ref can move it away from an object that is not here.
    client.push(tuple(RefUpdate(ref, main, one.at) for ref, one in told.items()))
    assert client.fetch(MAIN, NODES) == {MAIN: main, **good, **dict.fromkeys(told, main)}
    assert client.refused() == {}


def a_file_that_is_a_folder(git_world: GitWorld, folder: str) -> CommitId:
    """Put a commit into the remote of which an entry says file, and names a tree."""
    tree = git_world.store("tree", b"100644 heartbeat.json\0" + bytes.fromhex(folder))
    head = f"tree {tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n"
    return CommitId(git_world.store("commit", head.encode()))


@pytest.mark.parametrize("is_known", [True, False], ids=["known tree", "new tree"])
def test_an_entry_of_the_wrong_kind_hides_no_other_ref(
    git_world: GitWorld, *, is_known: bool
) -> None:
    client = git_world.client()
    bad = f"{NODES}bad"
    before = planted(git_world, bad, [("100644", b"a", b"1")])
    client.fetch(MAIN, NODES)
    good = planted(git_world, f"{NODES}good", [("100644", b"a", b"2")])
    folder = client.show(before).tree if is_known else git_world.store("tree", b"")
    odd = a_file_that_is_a_folder(git_world, folder)
    git_world.set_ref(bad, odd)

    found = client.fetch(MAIN, NODES)

    assert found[f"{NODES}good"] == good
    if bad in found:  # git need not look at what it has
        with pytest.raises(RepositoryError, match="is a tree, not a file"):
            client.root_file(odd, "heartbeat.json")
        assert client.tree(odd).ignored == ("heartbeat.json",)
    else:
        assert client.refused()[bad].at == odd


def test_a_ref_that_git_refuses_is_asked_for_once(git_world: GitWorld, tmp_path: Path) -> None:
    told = tmp_path / "told"
    access = a_path_with_git(
        tmp_path / "bin", f'case "$4" in fetch|ls-remote) echo "$4" >> {told};; esac'
    )
    client = open_repository(git_world.url, tmp_path / "m.git", access=access)
    git_world.clients.append(client)
    good = {
        f"{NODES}n{number}": planted(git_world, f"{NODES}n{number}", [("100644", b"a", b"1")])
        for number in range(20)
    }
    tree = git_world.store("tree", b"")
    head = f"tree {tree}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n"
    bad = f"{NODES}bad"
    git_world.set_ref(bad, git_world.store("commit", head.encode() + b"x\0y\n"))
    assert client.fetch(NODES) == good
    told.unlink()

    news = planted(git_world, f"{NODES}n3", [("100644", b"a", b"2")])

    assert client.fetch(NODES) == {**good, f"{NODES}n3": news}
    assert told.read_text().split() == ["ls-remote", "fetch"]
    git_world.git("update-ref", "-d", bad)
    client.fetch(NODES)
    told.unlink()
    planted(git_world, f"{NODES}n3", [("100644", b"a", b"3")])
    client.fetch(NODES)
    assert (told.read_text().split(), client.refused()) == (["fetch"], {})


def shutil_copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())
    target.chmod(0o755)


def test_the_callers_environment_does_not_reach_git(
    git_world: GitWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    home = tmp_path / "home"
    home.mkdir()
    run = script(tmp_path / "run", f"touch {shlex.quote(str(mark))}", "exit 1")
    config = f'[core]\n\tsshCommand = {run}\n[url "ext::{run}"]\n\tinsteadOf = {tmp_path}\n'
    (home / ".gitconfig").write_text(config)
    tip = planted(git_world, MAIN, [("100644", b"a", b"1")])
    for name, value in {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_DIR": str(tmp_path / "elsewhere.git"),
        "GIT_OBJECT_DIRECTORY": str(tmp_path / "elsewhere"),
        "GIT_INDEX_FILE": str(tmp_path / "index"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.ext.allow",
        "GIT_CONFIG_VALUE_0": "always",
        "GIT_ALLOW_PROTOCOL": "ext",
        "GIT_SSH_COMMAND": str(run),
        "GIT_TRACE": str(tmp_path / "trace"),
        "GIT_EXEC_PATH": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    client = git_world.client()

    assert client.fetch(MAIN) == {MAIN: tip}
    assert set(client.tree(tip).files) == {"a"}
    client.push_own(STATE, committed(client, {"a": b"2"}))

    assert not mark.exists()
    assert not (tmp_path / "trace").exists()


# how long it may take


def test_a_remote_that_hangs_is_left_and_all_its_processes_end(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    note = f"echo $$ >> {shlex.quote(str(pids))}"
    hang = script(tmp_path / "ssh", "trap '' TERM", note, f"sh -c '{note}; sleep 600' & sleep 600")
    access = Access(ssh=str(hang))
    client = open_repository("ssh://host/x.git", tmp_path / "m.git", access=access, timeout=0.5)

    with pytest.raises(UnreachableError, match=r"host/x\.git: no answer within 0.5 s"):
        client.fetch(MAIN)
    with pytest.raises(UnreachableError, match="no answer within"):
        client.push_own(MAIN, committed(client, {"a": b"1"}))

    started = [int(line) for line in pids.read_text().split()]
    assert len(started) >= 2
    assert [pid for pid in started if is_alive_within(pid, seconds=5)] == []


def test_who_has_little_time_waits_no_longer_for_a_remote_that_hangs(tmp_path: Path) -> None:
    hang = script(tmp_path / "ssh", "sleep 600")
    client = open_repository("ssh://host/x.git", tmp_path / "m.git", access=Access(ssh=str(hang)))

    with pytest.raises(UnreachableError, match=r"no answer within 0\.[1-5]"), client.within(0.5):
        client.fetch(MAIN)
    made = committed(client, {"a": b"1"})
    with pytest.raises(UnreachableError, match=r"no answer within 0\.[1-5]"), client.within(0.5):
        client.push_own(MAIN, made)


def test_little_time_is_enough_for_a_remote_that_answers(git_world: GitWorld) -> None:
    tip = planted(git_world, MAIN, [("100644", b"a", b"1")])
    client = git_world.client()

    with client.within(30.0):
        assert client.fetch(MAIN) == {MAIN: tip}
        client.push_own(STATE, tip)
    with client.within(None):
        assert client.fetch(STATE) == {STATE: tip}


def is_alive_within(pid: int, *, seconds: float) -> bool:
    """Whether a process is still there after some time at most. A zombie is not there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        threading.Event().wait(0.01)
    return True


def a_path_with_git(folder: Path, *lines: str) -> Access:
    """Access with a git that runs these lines of shell first."""
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout
    folder.mkdir()
    script(folder / "git", *lines, f'exec {real.strip()} "$@"')
    path = os.pathsep.join([str(folder), *os.get_exec_path()])
    return Access(environment={"PATH": path})


def test_a_reader_that_hangs_is_left(git_world: GitWorld, tmp_path: Path) -> None:
    tip = planted(git_world, MAIN, [("100644", b"a", b"1")])
    client = git_world.client()
    client.fetch(MAIN)
    hang = 'for word; do test "$word" = cat-file && exec sleep 600; done'
    access = a_path_with_git(tmp_path / "bin", hang)
    slow = open_repository(git_world.url, tmp_path / "mirror-0.git", access=access, timeout=1.0)

    with pytest.raises(RepositoryError, match="took more than 1 s"):
        slow.tree(tip)

    with pytest.raises(RepositoryError, match="took more than 1 s"):
        slow.descends(tip, tip)

    slow.close()
    assert client.tree(tip).files


@pytest.mark.parametrize(
    "how", ["exit 1", "kill -KILL $$", "{ read id; echo $id commit 99; exit; }"]
)
def test_a_reader_that_died_says_nothing_of_what_is_here(
    git_world: GitWorld, tmp_path: Path, how: str
) -> None:
    tip = planted(git_world, MAIN, [("100644", b"a", b"1")])
    client = git_world.client()
    client.fetch(MAIN)
    once = f"test $word = cat-file && mkdir {tmp_path}/died 2> /dev/null && {how}"
    access = a_path_with_git(tmp_path / "bin", f"for word; do {once}; done")
    reading = open_repository(git_world.url, tmp_path / "mirror-0.git", access=access)
    git_world.clients.append(reading)

    assert reading.descends(tip, tip)
    (tmp_path / "died").rmdir()
    reading.close()
    assert list(reading.tree(tip).files) == ["a"]
    assert (tmp_path / "died").is_dir()


def test_what_cannot_be_read_at_all_is_not_taken_for_absent(
    git_world: GitWorld, tmp_path: Path
) -> None:
    tip = planted(git_world, MAIN, [("100644", b"a", b"1")])
    client = git_world.client()
    client.fetch(MAIN)
    dead = "for word; do test $word = cat-file && exit 1; done"
    access = a_path_with_git(tmp_path / "bin", dead)
    reading = open_repository(git_world.url, tmp_path / "mirror-0.git", access=access)
    git_world.clients.append(reading)

    with pytest.raises(RepositoryError, match=f"object {tip} cannot be read: .+"):
        reading.descends(tip, tip)


@pytest.mark.parametrize("ending", ["exec sleep 600", "echo fatal: early EOF >&2; exit 128"])
def test_a_fetch_that_failed_leaves_nothing_behind(
    git_world: GitWorld, tmp_path: Path, ending: str
) -> None:
    planted(git_world, MAIN, [("100644", b"a", b"1")])
    objects = tmp_path / "m.git" / "objects"
    access = a_path_with_git(
        tmp_path / "bin",
        f'test "$4" = fetch || exec {shutil.which("git")} "$@"',
        f"mkdir {objects}/ab",
        f"touch {objects}/pack/tmp_pack_1 {objects}/pack/tmp_idx_1 {objects}/ab/tmp_obj_1",
        ending,
    )
    client = open_repository(git_world.url, tmp_path / "m.git", access=access, timeout=0.5)

    with pytest.raises(UnreachableError):
        client.fetch(MAIN)

    assert [path for path in objects.rglob("*") if path.is_file()] == []


def test_what_a_fetch_left_whose_process_died_with_it_goes_before_the_next(
    git_world: GitWorld, tmp_path: Path
) -> None:
    planted(git_world, MAIN, [("100644", b"a", b"1")])
    client = open_repository(git_world.url, tmp_path / "m.git", timeout=600.0)
    git_world.clients.append(client)
    client.fetch(MAIN)
    packs = tmp_path / "m.git" / "objects" / "pack"
    now = (tmp_path / "m.git.lock").stat().st_mtime
    for name, age in (("tmp_pack_old", 601), ("tmp_pack_young", 300), ("pack-x.keep", 601)):
        (packs / name).touch()
        os.utime(packs / name, (now - age, now - age))
    tip = planted(git_world, MAIN, [("100644", b"a", b"2")])

    assert client.fetch(MAIN) == {MAIN: tip}

    left = {path.name for path in packs.iterdir()}
    assert left & {"tmp_pack_old", "tmp_pack_young", "pack-x.keep"} == {
        "tmp_pack_young",
        "pack-x.keep",
    }


def test_no_git_at_all_says_so(tmp_path: Path) -> None:
    access = Access(environment={"PATH": str(tmp_path)})

    with pytest.raises(RepositoryError, match="cannot run git"):
        open_repository(str(tmp_path / "x.git"), tmp_path / "m.git", access=access).fetch(MAIN)


# every kind of URL


def test_a_path_and_a_file_url_work(git_world: GitWorld) -> None:
    is_used(git_world, f"file://{git_world.remote}")


def test_a_relative_path_works(git_world: GitWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(git_world.folder)

    is_used(git_world, "remote.git")


def test_a_path_with_odd_letters_works(git_world: GitWorld) -> None:
    odd = git_world.folder / "o'dd $(name) größe.git"
    git_world.remote.rename(odd)
    git_world.remote = odd

    is_used(git_world, str(odd))


@pytest.mark.parametrize("url", ["ssh://git@host.example{path}", "host.example:{path}"])
def test_ssh_works(git_world: GitWorld, url: str) -> None:
    told = git_world.folder / "told"
    key = git_world.folder / "a key"
    fake = script(
        git_world.folder / "fake ssh",
        f'printf "%s\\n" "$@" >> {shlex.quote(str(told))}',
        'for last; do :; done; exec sh -c "$last"',
    )
    access = Access(ssh=str(fake), ssh_key=str(key), known_hosts=str(git_world.folder / "known"))

    is_used(git_world, url.format(path=git_world.remote), access)

    words = told.read_text().splitlines()
    assert {"BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", str(key)} <= {
        *words
    }
    assert f'UserKnownHostsFile="{git_world.folder / "known"}"' in words


def test_ssh_that_refuses_is_unreachable_and_says_why(tmp_path: Path) -> None:
    fake = script(tmp_path / "ssh", "echo 'git@host: Permission denied (publickey).' >&2; exit 255")
    client = open_repository(
        "ssh://git@host/x.git", tmp_path / "m.git", access=Access(ssh=str(fake))
    )

    with pytest.raises(UnreachableError, match=r"ssh://host/x\.git: .*Permission denied"):
        client.fetch(MAIN)


@pytest.fixture(params=["https", "http"])
def forge(
    request: pytest.FixtureRequest, git_world: GitWorld, tmp_path: Path
) -> Iterator[tuple[str, Path]]:
    is_safe = request.param == "https"
    certificate = certificate_for(tmp_path, "127.0.0.1")
    handler = type("FolderForge", (Forge,), {"root": str(git_world.folder)})
    server = serve(handler, "127.0.0.1", certificate if is_safe else None)
    yield f"{request.param}://127.0.0.1:{server.server_port}/remote.git", certificate
    server.shutdown()
    server.server_close()


def test_https_works(git_world: GitWorld, forge: tuple[str, Path]) -> None:
    url, certificate = forge
    git_world.git("config", "http.receivepack", "true")
    access = Access(
        credentials=credentials(git_world.folder, PASSWORD), ca_file=str(certificate)
    )  # fmt: skip

    is_used(git_world, url, access)

    assert (git_world.folder / "the credentials").read_text().count(PASSWORD) == 1


@pytest.mark.parametrize("wrong", ["no credentials", "wrong password", "unknown certificate"])
def test_https_that_refuses_is_unreachable(
    git_world: GitWorld, forge: tuple[str, Path], wrong: str
) -> None:
    url, certificate = forge
    if wrong == "unknown certificate" and url.startswith("http:"):
        pytest.skip("plain http has no certificate")
    password = "wrong-secret" if wrong == "wrong password" else PASSWORD
    access = Access(
        credentials="" if wrong == "no credentials" else credentials(git_world.folder, password),
        ca_file="" if wrong == "unknown certificate" else str(certificate),
    )
    client = open_repository(url, git_world.folder / "m.git", access=access)
    git_world.clients.append(client)

    with pytest.raises(UnreachableError) as caught:
        client.fetch(MAIN)
    with pytest.raises(UnreachableError):
        client.push_own(MAIN, committed(client, {"a": b"1"}))

    assert password not in str(caught.value)


def test_desired_and_state_may_be_different_remotes(git_world: GitWorld, tmp_path: Path) -> None:
    other = GitWorld(tmp_path / "state")
    tip = planted(git_world, MAIN, [("100644", b"a", b"1")])
    desired, state = git_world.client(), other.client()
    tree = desired.tree(desired.fetch(MAIN)[MAIN])
    contents = desired.read(file.blob for file in tree.files.values())

    made = committed(state, {path: contents[file.blob] for path, file in tree.files.items()})
    state.push((RefUpdate(STATE, made, None),))
    state.close()

    assert (git_world.refs(), other.refs()) == ({MAIN: tip}, {STATE: made})


def test_a_mirror_may_change_its_remote(git_world: GitWorld, tmp_path: Path) -> None:
    other = GitWorld(tmp_path / "other")
    planted(git_world, MAIN, [("100644", b"a", b"1")])
    planted(git_world, f"{NODES}old", [("100644", b"a", b"1")])
    git_world.client().fetch(MAIN, NODES)
    tip = planted(other, f"{NODES}new", [("100644", b"a", b"2")])

    client = open_repository(other.url, tmp_path / "mirror-0.git")
    git_world.clients.append(client)

    assert client.fetch(MAIN, NODES) == {f"{NODES}new": tip}


# remotes on this machine


def test_a_local_folder_is_found_however_it_is_named(
    git_world: GitWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = git_world.remote
    work = tmp_path / "work"
    subprocess.run(["git", "init", "-q", work], check=True)
    odd = tmp_path / "a b"
    subprocess.run(["git", "init", "-q", "--bare", odd], check=True)
    monkeypatch.chdir(tmp_path)

    assert local_folder(str(remote)) == remote
    assert local_folder(f"{remote}/") == remote
    assert local_folder(f"file://{remote}") == remote
    assert local_folder(f"file://localhost{remote}") == remote
    assert local_folder("remote.git") == remote
    assert local_folder("./remote") == remote
    assert local_folder(str(work)) == work / ".git"
    assert local_folder(f"file://{tmp_path}/a%20b") == odd


@pytest.mark.parametrize(
    "url",
    [
        "https://host/x.git",
        "ssh://host/x",
        "host:x",
        "git@host:x/y.git",
        "file://host/x",
        "/none",
        "",
    ],
)
def test_what_is_not_on_this_machine_has_no_folder(url: str) -> None:
    assert local_folder(url) is None


@pytest.mark.parametrize("harm", ["packed", "symbolic", "work tree"])
def test_a_local_remote_is_read_right_however_it_keeps_its_refs(
    git_world: GitWorld, harm: str
) -> None:
    first = planted(git_world, MAIN, [("100644", b"a", b"1")])
    client = git_world.client()
    client.fetch(MAIN, NODES)
    tip = planted(git_world, MAIN, [("100644", b"a", b"2")], parent=first)
    beat = planted(git_world, f"{NODES}one", [("100644", b"a", b"3")])
    if harm == "packed":
        git_world.git("pack-refs", "--all", "--prune")
    elif harm == "symbolic":
        git_world.set_ref("refs/heads/real", tip)
        git_world.git("symbolic-ref", MAIN, "refs/heads/real")

    for _ in range(2):
        assert client.fetch(MAIN, NODES) == {MAIN: tip, f"{NODES}one": beat}
        assert glance(git_world.url, client._mirror.folder, [MAIN]) == {MAIN: tip}


def test_an_unchanged_local_remote_costs_no_process(git_world: GitWorld, tmp_path: Path) -> None:
    tip = planted(git_world, MAIN, [("100644", b"a", b"1")])
    folder = str(tmp_path / "m.git")
    glance(git_world.url, folder, [MAIN])
    nowhere = Access(environment={"PATH": "/nonexistent"})

    assert glance(git_world.url, folder, [MAIN], access=nowhere) == {MAIN: tip}


def test_a_glance_imports_nothing_heavy(git_world: GitWorld, tmp_path: Path) -> None:
    planted(git_world, MAIN, [("100644", b"a", b"1")])
    folder = str(tmp_path / "m.git")
    glance(git_world.url, folder, [MAIN])
    code = (
        "import sys; from fleet.glance import glance; "
        f"assert glance({git_world.url!r}, {folder!r}, [{MAIN!r}]); "
        "print(*sys.modules)"
    )
    root = Path(__file__).parents[3]

    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=root, capture_output=True, text=True, check=True
    )

    heavy = {"git", "dataclasses", "subprocess", "typing", "re", "pathlib", "datetime", "enum"}
    assert heavy & set(done.stdout.split()) == set()
