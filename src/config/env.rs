//! What a configuration takes from outside its own text: files and environment variables.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::domain::fnv1a;

/// The largest file that is read whole: enough for a configuration of 100,000 targets.
const MAX_FILE: u64 = 64 << 20;

/// Where files and environment variables come from; replaced in tests.
pub trait Env {
    /// Reads a whole file. Errors are those of opening and reading.
    fn file(&self, path: &Path) -> io::Result<FileContent>;

    /// An environment variable, if it is set and valid UTF-8.
    fn var(&self, name: &str) -> Option<String>;
}

/// A file as read.
pub struct FileContent {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its Unix mode, such as `0o600`.
    pub mode: u32,
}

impl FileContent {
    /// Whether everybody on the host may read it. A group is a choice: a package's user, a pod's `fsGroup`.
    pub fn is_world_readable(&self) -> bool {
        self.mode & 0o004 != 0
    }
}

/// How to let this process read a file: its user may not.
pub(super) fn readable(env: &dyn Env, file: &str) -> String {
    let id = rustix::process::geteuid().as_raw();
    let users = env.file(Path::new("/etc/passwd")).map(|file| file.bytes);
    let users = String::from_utf8(users.unwrap_or_default()).unwrap_or_default();
    let user = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?);
        (uid.parse() == Ok(id)).then(|| name.to_owned())
    });
    let user = user.unwrap_or_else(|| format!("uid {id}"));
    format!(
        "this command runs as {user}: run it with `sudo -u odoo-mfa-exporter`, or let {user} read {file}"
    )
}

/// The process's own files and environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn file(&self, path: &Path) -> io::Result<FileContent> {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            // Opening or reading a pipe or a device might never end.
            return Err(io::Error::other("not a regular file"));
        }
        let file = std::fs::File::open(path)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::other("file too large"));
        }
        Ok(FileContent {
            bytes,
            mode: metadata.permissions().mode(),
        })
    }

    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// The files that a configuration was read from, with what was in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<PathBuf, Option<u64>>);

impl Files {
    /// What is in the same files now.
    pub fn again(&self, env: &dyn Env) -> Self {
        let read = |path: &PathBuf| (path.clone(), content(&env.file(path)));
        Self(self.0.keys().map(read).collect())
    }
}

/// A hash; `None` if there is nothing to read.
fn content(file: &io::Result<FileContent>) -> Option<u64> {
    file.as_ref().ok().map(|file| fnv1a(&file.bytes))
}

/// Notes what is read.
pub(super) struct Noting<'a> {
    env: &'a dyn Env,
    files: RefCell<Files>,
}

impl<'a> Noting<'a> {
    pub(super) fn new(env: &'a dyn Env) -> Self {
        Self {
            env,
            files: RefCell::default(),
        }
    }

    pub(super) fn into_files(self) -> Files {
        self.files.into_inner()
    }
}

impl Env for Noting<'_> {
    fn file(&self, path: &Path) -> io::Result<FileContent> {
        let file = self.env.file(path);
        let mut files = self.files.borrow_mut();
        files.0.insert(path.to_owned(), content(&file));
        file
    }

    fn var(&self, name: &str) -> Option<String> {
        self.env.var(name)
    }
}
