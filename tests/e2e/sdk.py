"""docker-py against a daemon: sdk.py FUNCTION PREFIX IMAGE. An assertion that fails is the exit code."""

import io
import socket
import sys
import tarfile

import docker

PREFIX, IMAGE = sys.argv[2], sys.argv[3]


def same(found, expected):
    assert found == expected, found


def attach(client):
    box = client.containers.create(IMAGE, ["sh", "-c", "read x; echo got $x; echo err >&2"], name=PREFIX + "a", stdin_open=True)
    api = client.api.attach_socket(box.id, {"stdin": 1, "stream": 1, "stdout": 0})
    output = box.attach(stream=True, stdout=True, stderr=True, demux=True)
    box.start()
    api._sock.send(b"word\n")
    seen = list(output)
    assert (b"got word\n", None) in seen and (None, b"err\n") in seen, seen
    assert box.wait() == {"StatusCode": 0}, box.attrs
    api._sock.close()
    assert box.logs(stdout=True, stderr=False) == b"got word\n"
    assert client.containers.run(IMAGE, ["echo", "whole"], remove=True) == b"whole\n"
    try:
        client.containers.run(IMAGE, ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    except docker.errors.ContainerError as error:
        assert (error.exit_status, error.stderr) == (3, b"bad\n"), error
    else:
        raise AssertionError("exit code 3 was no error")


def exec(client):
    box = client.containers.run(IMAGE, ["sleep", "1000"], name=PREFIX + "a", detach=True)
    same(box.exec_run(["echo", "x"]), (0, b"x\n"))
    same(box.exec_run(["sh", "-c", "echo o; echo e >&2; exit 4"], demux=True), (4, (b"o\n", b"e\n")))
    same(box.exec_run("id -u", user="user").output, b"1000\n")
    same(box.exec_run(["sh", "-c", "echo $A"], environment={"A": "1"}).output, b"1\n")
    same(box.exec_run("pwd", workdir="/tmp").output, b"/tmp\n")
    code, stream = box.exec_run(["sh", "-c", "echo 1; echo 2"], stream=True)
    assert code is None and b"".join(stream) == b"1\n2\n"
    code, sock = box.exec_run("cat", stdin=True, socket=True)
    sock._sock.sendall(b"through")
    sock._sock.shutdown(socket.SHUT_WR)
    answer = b""
    while chunk := sock._sock.recv(4096):
        answer += chunk
    assert answer == b"\x01\0\0\0\0\0\0\x07through", answer
    sock.close()
    tty = client.api.exec_create(box.id, ["tty"], tty=True)
    assert client.api.exec_start(tty["Id"], tty=True).startswith(b"/dev/pts/")
    assert client.api.exec_inspect(tty["Id"])["ExitCode"] == 0


def archive(client):
    box = client.containers.run(IMAGE, ["sleep", "1000"], name=PREFIX + "a", detach=True)
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        info = tarfile.TarInfo("folder/file")
        info.size, info.mode, info.uid, info.gid, info.mtime = 5, 0o640, 7, 8, 1234567890
        tar.addfile(info, io.BytesIO(b"hello"))
    assert box.put_archive("/tmp", data.getvalue())
    found = box.exec_run("stat -c '%a %u:%g %Y %s' /tmp/folder/file").output
    assert found == b"640 7:8 1234567890 5\n", found
    stream, stat = box.get_archive("/tmp/folder/file")
    assert (stat["name"], stat["size"], stat["mode"]) == ("file", 5, 0o640), stat
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        assert tar.extractfile("file").read() == b"hello"
    try:
        box.get_archive("/no/such")
    except docker.errors.NotFound:
        pass
    else:
        raise AssertionError("a missing path was found")
    assert {"Path": "/tmp/folder/file", "Kind": 1} in box.diff()


def events(client):
    stream = client.events(decode=True, filters={"container": PREFIX + "a"})
    box = client.containers.create(IMAGE, "true", name=PREFIX + "a")
    box.start()
    box.wait()
    box.remove()
    actions = []
    for event in stream:
        assert event["Type"] == "container" and event["Actor"]["ID"] == box.id, event
        actions.append(event["Action"])
        if event["Action"] == "destroy":
            break
    stream.close()
    assert [a for a in actions if a in ("create", "start", "die", "destroy")] == ["create", "start", "die", "destroy"], actions


def images(client):
    image = client.images.get(IMAGE)
    assert image.tags and image.id.startswith("sha256:"), image
    data = b"".join(client.images.get(IMAGE).save(named=True))
    assert image.tag(PREFIX + "image", "v1")
    assert any(PREFIX + "image:v1" in one.tags for one in client.images.list())
    client.images.remove(PREFIX + "image:v1")
    loaded = client.images.load(data)
    assert [one.id for one in loaded] == [image.id], loaded
    assert image.history()[0]["Id"] == image.id
    try:
        client.images.get(PREFIX + "none")
    except docker.errors.ImageNotFound:
        pass
    else:
        raise AssertionError("a missing image was found")


def lifecycle(client):
    box = client.containers.run(IMAGE, ["sleep", "1000"], name=PREFIX + "a", detach=True, labels={"l": PREFIX}, mem_limit="64m", environment=["A=b"])
    assert [one.id for one in client.containers.list(filters={"label": "l=" + PREFIX})] == [box.id]
    box.pause()
    box.reload()
    assert box.status == "paused"
    box.unpause()
    assert box.top()["Titles"][-1] == "CMD"
    box.rename(PREFIX + "b")
    box.restart(timeout=0)
    box.kill()
    assert box.wait()["StatusCode"] == 137
    box.start()
    box.stop(timeout=0)
    box.reload()
    assert box.status == "exited" and box.attrs["HostConfig"]["Memory"] == 64 << 20
    box.remove()
    try:
        client.containers.get(PREFIX + "b")
    except docker.errors.NotFound:
        pass
    else:
        raise AssertionError("a removed container was found")
    assert client.ping() and client.version()["Os"] == "linux" and client.info()["OSType"] == "linux" and client.df()


globals()[sys.argv[1]](docker.from_env())
