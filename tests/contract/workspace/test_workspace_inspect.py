"""What a project's checkout must be before anything is started in it."""

from dataclasses import replace

import pytest

from adapters.git import GitWorkspace
from core.errors import WorkspaceError


async def test_a_clean_checkout(workspace, project, repo):
    seen = await workspace.inspect(project)
    assert (seen.head, seen.branch, seen.dirty) == (repo.git("rev-parse", "HEAD"), "main", False)


@pytest.mark.parametrize("name", ["file", "new file"])
async def test_changed_and_new_files_make_it_dirty(workspace, project, repo, name):
    repo.write(name, "changed\n")
    assert (await workspace.inspect(project)).dirty


async def test_a_detached_head_has_no_branch(workspace, project, repo):
    repo.git("checkout", "-q", "--detach")
    assert (await workspace.inspect(project)).branch == ""


async def test_looking_changes_nothing(workspace, project, repo):
    repo.write("file", "content\n")  # same content, new time: git would like to refresh the index
    before = (repo.path / ".git" / "index").read_bytes()
    await workspace.inspect(project)
    assert (repo.path / ".git" / "index").read_bytes() == before


async def test_a_base_branch_known_only_from_origin_is_enough(workspace, project, repo):
    repo.git("update-ref", "refs/remotes/origin/develop", "HEAD")
    await workspace.inspect(replace(project, base_branch="develop"))


@pytest.mark.parametrize("branch", ["develop", "-x", "a b", "main^", "main:file", "HEAD"])
async def test_a_missing_base_branch_is_named(workspace, project, branch):
    with pytest.raises(WorkspaceError, match="has no branch") as failure:
        await workspace.inspect(replace(project, base_branch=branch))
    assert "git fetch" in failure.value.hint


async def test_a_missing_path_is_named(workspace, project, tmp_path):
    with pytest.raises(WorkspaceError, match="nowhere does not exist"):
        await workspace.inspect(replace(project, path=tmp_path / "nowhere"))


async def test_a_file_is_no_checkout(workspace, project, repo):
    with pytest.raises(WorkspaceError, match="file is no directory"):
        await workspace.inspect(replace(project, path=repo.path / "file"))


async def test_a_folder_without_git(workspace, project, tmp_path):
    with pytest.raises(WorkspaceError, match="not a git repository"):
        await workspace.inspect(replace(project, path=tmp_path))


async def test_a_bare_repository(workspace, project, repo, tmp_path):
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    with pytest.raises(WorkspaceError, match="bare repository") as failure:
        await workspace.inspect(replace(project, path=tmp_path / "bare.git"))
    assert "git clone" in failure.value.hint


async def test_a_folder_inside_a_checkout_names_the_checkout(workspace, project, repo):
    repo.write("sub dir/file")
    with pytest.raises(WorkspaceError, match="folder inside the repository") as failure:
        await workspace.inspect(replace(project, path=repo.path / "sub dir"))
    assert str(repo.path) in failure.value.hint


async def test_the_git_directory_itself(workspace, project, repo):
    with pytest.raises(WorkspaceError, match=r"inside a \.git directory"):
        await workspace.inspect(replace(project, path=repo.path / ".git"))


async def test_no_commits(workspace, project, repo, tmp_path):
    repo.git("init", "-q", str(tmp_path / "young"))
    with pytest.raises(WorkspaceError, match="no commit yet") as failure:
        await workspace.inspect(replace(project, path=tmp_path / "young"))
    assert "git commit" in failure.value.hint


async def test_somebody_elses_checkout_is_explained(env, project):
    workspace = GitWorkspace(env | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}, print)  # git's own switch for its tests
    with pytest.raises(WorkspaceError, match="dubious ownership") as failure:
        await workspace.inspect(project)
    assert "safe.directory" in failure.value.hint


async def test_no_git_at_all(env, project):
    with pytest.raises(WorkspaceError, match="not found") as failure:
        await GitWorkspace(env | {"PATH": "/nonexistent"}, print, git="/nonexistent/git").inspect(project)
    assert "Install git" in failure.value.hint


async def test_a_path_with_every_kind_of_character(workspace, project, repo, tmp_path):
    odd = tmp_path / "-o é\nb"
    repo.path.rename(odd)
    assert (await workspace.inspect(replace(project, path=odd))).branch == "main"


async def test_the_environment_of_a_git_hook_does_not_mislead(env, project, tmp_path):
    other = str(tmp_path / "other")
    misled = env | {"GIT_DIR": other, "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other, "GIT_COMMON_DIR": other}
    assert (await GitWorkspace(misled, print).inspect(project)).branch == "main"


async def test_a_checkout_is_located_from_inside(workspace, repo):
    repo.git("remote", "add", "origin", "git@github.com:shoko/kugetsu.git")
    repo.write("sub dir/file")
    found = await workspace.locate(repo.path / "sub dir")
    assert (found.top, str(found.ref)) == (repo.path, "github.com/shoko/kugetsu")


async def test_one_without_origin_is_named_by_its_folder(workspace, repo):
    assert str((await workspace.locate(repo.path)).ref) == "local/repo"


async def test_outside_of_any_checkout_nothing_is_located(workspace, tmp_path):
    assert await workspace.locate(tmp_path) is None
