"""scripts/lint-style on repositories of its own: which parts of which files it checks, and which words may stay."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).parents[1]
# Independent of the configuration of this machine.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class LintStyle(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        (self.root / "scripts").mkdir()
        for name in ("lint-style", "style-terms.tsv"):
            shutil.copy(SCRIPTS / name, self.root / "scripts")
        self.git("init", "--quiet")

    def git(self, *arguments):
        subprocess.run(["git", *arguments], cwd=self.root, env=ENVIRONMENT, check=True)

    def check(self, files, *arguments, exceptions=()):
        (self.root / "scripts/style-exceptions.tsv").write_text("".join("\t".join(row) + "\n" for row in exceptions))
        for name, text in files.items():
            (self.root / name).write_text(text)
        self.git("add", "--all")
        command = [self.root / "scripts/lint-style", *arguments]
        result = subprocess.run(command, cwd=self.root, env=ENVIRONMENT, capture_output=True, text=True)
        lines = result.stdout.splitlines()
        self.assertEqual(result.returncode, int(bool(lines)), result)
        return [line.split(": write")[0] for line in lines]

    def test_it_checks_all_text_files_of_the_repository(self):
        files = {"page.md": "Fine.\n\nA fix for anybody.\n", "units.service": "# Mended.\n", "Makefile": "fine: ## Whatever\n"}
        expected = ["Makefile:1:10: 'Whatever'", "page.md:3:11: 'anybody'", "units.service:1:3: 'Mended'"]
        self.assertEqual(self.check(files), expected)
        self.assertEqual(self.check(files, "page.md"), expected[1:2])

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
        expected = ["2:28: 'shall'", "4:9: 'anybody'", "4:20: 'somebody'", "5:22: 'whoever'", "7:8: 'nobody'"]
        self.assertEqual(self.check({"code.rs": source}), [f"code.rs:{line}" for line in expected])

    def test_of_python_it_checks_comments_and_strings_alone(self):
        source = 'def tell(nobody):\n    """Mends."""\n    return f"{fine} shall"  # anybody\n'
        found = self.check({"code.py": source})
        self.assertEqual([line.split("'")[1] for line in found], ["Mends", "anybody", "shall"])

    def test_doc_comments_begin_with_a_noun_phrase_or_a_verb(self):
        source = "/// What it means.\n/// Returns what it means.\n//! Whether it works.\nfn code() {}\n"
        self.assertEqual(self.check({"code.rs": source}), ["code.rs:1:1: '/// What'", "code.rs:3:1: '//! Whether'"])

    def test_generated_files_are_not_checked(self):
        self.assertEqual(self.check({"Cargo.lock": "nobody\n", "data.json": "nobody\n", "picture.svg": "nobody\n"}), [])

    def test_an_exception_allows_a_word_in_some_files_and_must_match(self):
        files = {"wire.py": '"nobody"\n', "page.md": "nobody\n"}
        row = (r"\.py$", "nobody", "a field of the protocol")
        self.assertEqual(self.check(files, exceptions=[row]), ["page.md:1:1: 'nobody'"])
        self.assertEqual(self.check({"page.md": "Fine.\n"}, exceptions=[row]), [])
        unused = self.check({"wire.py": "# Fine.\n"}, exceptions=[row])
        self.assertEqual(unused, ["style-exceptions.tsv: '\\.py$' with 'nobody' matches nothing: remove it"])


if __name__ == "__main__":
    unittest.main()
