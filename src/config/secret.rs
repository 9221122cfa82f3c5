//! Secrets of a configuration: where API keys come from, and proxies that hold a password.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::env::Env;

/// Source of a target's API key.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file, absolute or relative to the working directory.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A file in systemd's `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// The configuration itself.
    Inline(SecretString),
}

/// A target's API key, which may be read again while it is in use. Neither `Debug` nor equality knows it.
pub struct ApiKey(ArcSwap<SecretString>);

impl ApiKey {
    /// A key as it was read first.
    pub fn new(key: SecretString) -> Self {
        Self(ArcSwap::from_pointee(key))
    }

    /// The key as it was read last.
    pub fn current(&self) -> Arc<SecretString> {
        self.0.load_full()
    }

    /// Takes a key that was read again. Gives whether it is another one.
    pub(super) fn replace(&self, key: SecretString) -> bool {
        let changed = key.expose_secret() != self.current().expose_secret();
        if changed {
            self.0.store(Arc::new(key));
        }
        changed
    }
}

impl Clone for ApiKey {
    fn clone(&self) -> Self {
        Self(ArcSwap::new(self.current()))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

/// An API key as read.
pub struct Key {
    /// The key.
    pub secret: SecretString,
    /// True if all users of the host can read its file.
    pub exposed: bool,
}

/// Why the API key is missing. Says nothing of the key's content, and never the name that was given: it might be the
/// key itself on the wrong line.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// The environment variable is not set.
    #[error("names an environment variable that is not set")]
    NotSet,
    /// Not the name of an environment variable.
    #[error("is not the name of an environment variable")]
    NoVariableName,
    /// Not the name of a credential.
    #[error("is not the name of a credential")]
    NoCredentialName,
    /// The process was started without credentials.
    #[error("needs systemd's credentials, but $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    /// There is no key in it.
    #[error("contains an empty key")]
    Empty,
    /// A key never contains white space: several lines, or more than the key.
    #[error("contains a key with white space")]
    WhiteSpace,
    /// A key is printable ASCII.
    #[error("contains a key with characters that API keys do not have")]
    NotAscii,
}

impl KeyError {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "the exporter's user must be able to read the file",
            Self::NotSet => "set it, or use another one",
            Self::NoVariableName => {
                "write the name of the variable, such as `ODOO_API_KEY`, not the key"
            }
            Self::NoCredentialName => "write the name in `LoadCredential=NAME:PATH`",
            Self::NoCredentials => {
                "add `LoadCredential=NAME:PATH` to the unit, or use `api_key_file`"
            }
            Self::Empty => "write only the key",
            Self::WhiteSpace => "write only the key, on one line",
            Self::NotAscii => "save it as plain text, without a byte order mark",
        }
    }
}

impl KeySource {
    /// Reads the key; also good for reading it again later.
    pub fn read(&self, env: &dyn Env) -> Result<Key, KeyError> {
        match self {
            Self::File(path) => {
                let file = env.file(path).map_err(KeyError::Unreadable)?;
                Ok(Key {
                    secret: key_from(&file.bytes)?,
                    exposed: file.is_world_readable(),
                })
            }
            Self::Variable(name) => {
                let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if !valid {
                    return Err(KeyError::NoVariableName);
                }
                let value = env.var(name).ok_or(KeyError::NotSet)?;
                Ok(Key {
                    secret: key_from(value.as_bytes())?,
                    exposed: false,
                })
            }
            Self::Credential(name) => {
                if name.contains('/') || name == "." || name == ".." {
                    return Err(KeyError::NoCredentialName);
                }
                let directory = env
                    .var("CREDENTIALS_DIRECTORY")
                    .filter(|directory| !directory.is_empty())
                    .ok_or(KeyError::NoCredentials)?;
                let file = env
                    .file(&Path::new(&directory).join(name))
                    .map_err(KeyError::Unreadable)?;
                // systemd guards the directory.
                Ok(Key {
                    secret: key_from(&file.bytes)?,
                    exposed: false,
                })
            }
            Self::Inline(secret) => Ok(Key {
                secret: secret.clone(),
                exposed: false,
            }),
        }
    }
}

/// The key alone: what surrounds it, a line's end mostly, is dropped.
pub(super) fn key_from(bytes: &[u8]) -> Result<SecretString, KeyError> {
    let key = bytes.trim_ascii();
    if key.is_empty() {
        return Err(KeyError::Empty);
    }
    if key.iter().any(u8::is_ascii_whitespace) {
        return Err(KeyError::WhiteSpace);
    }
    match std::str::from_utf8(key) {
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(SecretString::from(text))
        }
        _ => Err(KeyError::NotAscii),
    }
}

/// A proxy's URL. `Debug` and `Display` hide user and password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// The proxy at a URL, which may hold credentials.
    pub fn new(url: Url) -> Self {
        Self(url)
    }

    /// The whole URL, credentials included, for the HTTP client alone.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        if !url.username().is_empty() || url.password().is_some() {
            // Neither fails on a URL that has a host.
            let _ = url.set_password(None);
            let _ = url.set_username("redacted");
        }
        url.fmt(f)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}
