"""scripts/lint-style in repositories of its own: which lines it checks, and against which commit."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "lint-style"
# No configuration of this machine, and an author.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
BAD = "// Mended by somebody.\n"


class LintStyle(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit({"old.rs": BAD})

    def git(self, *arguments):
        subprocess.run(["git", *arguments], cwd=self.root, env=ENVIRONMENT, check=True)

    def write(self, files):
        for name, text in files.items():
            (self.root / name).write_text(text)
        self.git("add", "--all")

    def commit(self, files):
        self.write(files)
        self.git("commit", "--quiet", "--message=change")

    def check(self, *arguments):
        command = [SCRIPT, *arguments]
        result = subprocess.run(command, cwd=self.root, env=ENVIRONMENT, capture_output=True, text=True)
        self.assertEqual(result.returncode, int(bool(result.stderr)), result)
        return [line.split(": write")[0] for line in result.stdout.splitlines()]

    def test_of_a_branch_it_checks_what_the_branch_adds(self):
        self.git("checkout", "--quiet", "-b", "change")
        self.commit({"old.rs": BAD + "// Fixed.\n", "new.md": "Fine.\n\nA fix for anybody.\n"})
        self.write({"uncommitted.py": "# whatever\n"})
        self.assertEqual(self.check(), ["new.md:3:11: 'anybody'", "uncommitted.py:1:3: 'whatever'"])

    def test_of_the_main_branch_it_checks_the_last_commit(self):
        self.assertEqual(self.check(), ["style: no commit to compare with, nothing checked"])
        self.commit({"good.md": "Fine.\n"})
        self.assertEqual(self.check(), [])
        self.commit({"bad.md": "Nobody.\n"})
        self.assertEqual(self.check(), ["bad.md:1:1: 'Nobody'"])

    def test_it_compares_with_the_commit_that_it_is_given_and_with_tags(self):
        self.commit({"bad.md": "Nobody.\n"})
        self.git("tag", "v1")
        self.commit({"good.md": "Fine.\n"})
        self.assertEqual(self.check("HEAD~2"), ["bad.md:1:1: 'Nobody'"])
        self.git("branch", "--move", "trunk")
        self.assertEqual(self.check(), [])
        self.commit({"bad.md": "Nobody.\nShall.\n"})
        self.assertEqual(self.check(), ["bad.md:2:1: 'Shall'"])

    def test_of_rust_it_checks_comments_and_strings_alone(self):
        source = """fn nobody(tell: char) {
    let whatever = '"'; // shall
    let text = "first
        anybody \\" somebody";
    let raw = r#"a " whoever"#; mend();
    /* one
       nobody */
}
"""
        self.commit({"code.rs": source})
        expected = ["2:28: 'shall'", "4:9: 'anybody'", "4:20: 'somebody'", "5:22: 'whoever'", "7:8: 'nobody'"]
        self.assertEqual(self.check(), [f"code.rs:{line}" for line in expected])

    def test_what_is_generated_is_not_checked(self):
        self.commit({"Cargo.lock": "nobody\n", "data.json": "nobody\n", "picture.svg": "nobody\n"})
        self.assertEqual(self.check(), [])


if __name__ == "__main__":
    unittest.main()
