"""Tests of the git repository in the workspace."""

from __future__ import annotations

import json

from project import Project

ASKS = """
    import subprocess
    from recorder import record

    def git(*args):
        return subprocess.run(["git", *args], capture_output=True, text=True, check=True).stdout

    @record
    def f():
        return [
            git("rev-parse", "HEAD"),
            git("rev-parse", "--abbrev-ref", "HEAD"),
            git("status", "--porcelain"),
            git("describe", "--tags", "--dirty"),
            git("config", "remote.origin.url"),
            git("diff-index", "--name-only", "HEAD"),
            git("log", "--format=%s"),
        ]

    if __name__ == "__main__":
        f()
"""


def test_git_answers_as_in_the_recorded_run(project: Project) -> None:
    """Commit, branch, tag, remote, and the changes of the working tree are those of the run, not the present ones."""
    project.write("f.py", ASKS)
    project.write("data.txt", "1")
    project.write(".gitignore", "*.log\n")
    project.commit()
    project.git("checkout", "-q", "-b", "topic/one")
    project.git("tag", "v1")
    project.git("remote", "add", "origin", "https://example.org/x.git")
    project.write("data.txt", "2")
    project.write("new.txt", "new")
    project.write("some.log", "ignored")
    project.python("f.py")
    commit, branch, status, described, *_ = project.show(1)["result"]
    assert (branch, described) == ("topic/one\n", "v1-dirty\n")
    assert status == " M data.txt\n?? new.txt\n"
    project.git("add", "-A")
    project.git("commit", "-qm", "later")
    project.git("checkout", "-q", "-b", "other")
    head = project.git("rev-parse", "HEAD")
    done = json.loads(project.recorder("replay", "1", "--json").stdout)
    assert done["verdict"] == "reproduced", done["items"]
    assert project.show("last-replay")["result"][0] == commit
    assert project.git("rev-parse", "HEAD") == head and project.git("status", "--porcelain") == ""


def test_a_command_that_commits_changes_no_other_repository(project: Project) -> None:
    """A commit in the workspace leaves the user's repository as it is."""
    project.write(
        "commit.sh",
        """\
        #!/bin/sh
        git rev-parse HEAD
        git -c user.name=a -c user.email=a@b commit -q --allow-empty -m more
        git log --format=%s | head -n 1 > out.txt
        """,
    ).chmod(0o755)
    project.commit()
    head = project.git("rev-parse", "HEAD")
    project.recorder("exec", "--", "./commit.sh")
    project.git("reset", "-q", "--hard", head.strip())
    objects = project.git("count-objects")
    done = json.loads(project.recorder("replay", "1", "--json").stdout)
    decides = {item["name"] for item in done["items"] if item["decides"]}
    assert (done["verdict"], decides) == ("reproduced", {"result", "out.txt"})
    assert project.git("rev-parse", "HEAD") == head and project.git("count-objects") == objects


def test_a_commit_that_is_gone_is_noted(project: Project) -> None:
    """Without the recorded commit, the plan notes that git finds no repository in the workspace."""
    project.write("g.sh", "#!/bin/sh\necho x > out.txt\n").chmod(0o755)
    project.commit()
    project.recorder("exec", "--", "./g.sh")
    project.git("update-ref", "-d", "HEAD")
    project.git("reflog", "expire", "--expire=now", "--all")
    project.git("gc", "-q", "--prune=now")
    done = project.recorder("replay", "1")
    assert "so git finds no repository in the workspace" in done.stderr
    assert "reproduced" in done.stdout
