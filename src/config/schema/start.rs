//! A configuration to start from, with every field of a target and every section, most of them commented out.

use std::fmt::Write;

use super::{Field, ROOT, TARGET};

/// Widest line of a comment.
const WIDTH: usize = 100;

const HEAD: &str = "\
# Configuration of odoo-mfa-exporter.
#
# The active fields are sufficient. Commented fields show a default or an example: remove the #
# to set them. All fields: docs/configuration.md.
#
# Check the file, and what the accounts can see: odoo-mfa-exporter check --connect

";

/// The text of such a configuration. It is right as it stands, once the key is there.
pub fn starting_configuration() -> String {
    let mut text = HEAD.to_owned();
    for field in ROOT.fields {
        if field.name == "targets" {
            let _ = writeln!(text, "# {}\ntargets:", field.meaning);
            // A target begins with its name.
            let mut dash = ("", "- ");
            for field in TARGET.fields {
                setting(&mut text, dash, field);
                dash = ("  ", "  ");
            }
        } else {
            setting(&mut text, ("", ""), field);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// A field with what it means, indented: the comment, and the setting. Active are the least that is needed, and the login, which most
/// servers need. What has neither a default nor an example is not for beginners.
fn setting(text: &mut String, (indent, dash): (&str, &str), field: &Field) {
    let value = match (field.example, field.default_value()) {
        ("", None) => return,
        ("", Some(default)) => default,
        (example, _) => example,
    };
    let mut line = format!("{indent}#");
    for word in field.meaning.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = format!("{indent}#");
        }
        line.push(' ');
        line += word;
    }
    let active = field.is_required() || ["login", "api_key_file"].contains(&field.name);
    let mark = if active { "" } else { "#" };
    let _ = writeln!(text, "{line}\n{dash}{mark}{}: {value}", field.name);
}
