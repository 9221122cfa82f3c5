//! Standard output and standard error of the commands: both may be closed or full, and neither is a reason to panic.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use super::FAILED;

/// Exit code that a shell shows for a program that SIGPIPE ended: its reader had read enough.
const CLOSED_PIPE: u8 = 128 + 13;

/// Prints to standard output, all of it.
///
/// # Errors
/// The code to leave with: quietly if the reader has closed its end, otherwise after an error message.
pub(super) fn print(text: impl AsRef<[u8]>) -> Result<(), ExitCode> {
    let mut output = io::stdout().lock();
    match output
        .write_all(text.as_ref())
        .and_then(|()| output.flush())
    {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ExitCode::from(CLOSED_PIPE)),
        Err(error) => {
            complain(format_args!(
                "error: cannot write to standard output: {error}"
            ));
            Err(ExitCode::from(FAILED))
        }
    }
}

/// Prints to standard output, and gives the code to leave with.
pub(super) fn printed(text: impl AsRef<[u8]>, code: ExitCode) -> ExitCode {
    print(text).map_or_else(|failed| failed, |()| code)
}

/// Prints a line to standard error. If that fails, there is nowhere to say so.
pub(super) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
