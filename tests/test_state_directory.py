"""Which state directories are refused, and how that is said."""

import os
from pathlib import Path

import pytest

from proxy.startup_error import StartupError
from proxy.state_directory import check_state_directory, prepare_state_directory, warn_of_readers

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "deep" / "state"
    prepare_state_directory(str(directory))
    return directory


def refusal(directory: Path) -> str:
    with pytest.raises(StartupError) as caught:
        prepare_state_directory(str(directory))
    with pytest.raises(StartupError, match=r"state-dir|rm ") as checked:
        check_state_directory(str(directory))
    assert str(caught.value) == str(checked.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_is_made_for_its_user_alone(directory: Path) -> None:
    assert directory.stat().st_mode & 0o777 == 0o700
    (directory / "file").write_text("")
    (directory / "below").mkdir()
    prepare_state_directory(str(directory))
    check_state_directory(str(directory / "none"))


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o1777])
def test_one_that_others_may_write_in_is_refused(directory: Path, mode: int) -> None:
    directory.chmod(mode)
    assert refusal(directory) == (
        f"state directory {directory} can be written by others (mode {mode:04o}): chmod go-w {directory}, "
        "or choose another with --state-dir"
    )


@pytest.mark.parametrize("name", ["token", "kubeconfig.new", "below"])
def test_a_file_that_others_may_write_is_refused(directory: Path, name: str) -> None:
    path = directory / name
    if name == "below":
        path.mkdir()
    else:
        path.write_text("")
    path.chmod(0o666)
    assert f"{path} can be written by others (mode 0666): chmod go-w {path}" in refusal(directory)


def test_a_link_is_refused(directory: Path, tmp_path: Path) -> None:
    link = tmp_path / "a link"
    link.symlink_to(directory)
    assert refusal(link) == f"state directory {link} is a link: name {directory} itself with --state-dir"
    (directory / "kubeconfig.new").symlink_to("/etc/passwd")
    assert refusal(directory) == (
        f"{directory}/kubeconfig.new is a link, and would be written through: rm {directory}/kubeconfig.new"
    )


@as_root
def test_what_belongs_to_somebody_else_is_refused(directory: Path) -> None:
    path = directory / "objects.sqlite"
    path.write_text("")
    os.chown(path, NOBODY, NOBODY)
    assert f"{path} belongs to user {NOBODY}, not to 0: chown 0 {path}" in refusal(directory)
    os.chown(directory, NOBODY, NOBODY)
    assert f"state directory {directory} belongs to user {NOBODY}" in refusal(directory)


def test_secrets_that_others_can_read_are_told(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("token", "ledger.json"):
        (directory / name).write_text("")
        (directory / name).chmod(0o644)
    prepare_state_directory(str(directory))
    assert [record.message for record in caplog.records] == [
        f"{directory}/token can be read by others: chmod 600 {directory}/token"
    ]


def test_a_token_of_the_configuration_that_everybody_can_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "secret"
    warn_of_readers(str(path), "adminTokenFile")
    path.write_text("s3cret")
    path.chmod(0o640)
    warn_of_readers(str(path), "adminTokenFile")
    assert caplog.records == []
    path.chmod(0o644)
    warn_of_readers(str(path), "adminTokenFile")
    (record,) = caplog.records
    assert record.message == f"adminTokenFile: {path} can be read by everybody: chmod o-r {path}"
