//! Templates of annotations, in the way of Prometheus: `{{ $labels.target }}` and `{{ $value }}`, and nothing more.

use std::str::FromStr;

use super::Labels;

/// A text with places for labels and the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Label(String),
    Value,
}

/// A text that is not a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only `{{{{ $labels.NAME }}}}` and `{{{{ $value }}}}` may stand between double braces")]
pub struct InvalidTemplate;

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) = after.split_once("}}").ok_or(InvalidTemplate)?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match inside.trim() {
                "$value" => Piece::Value,
                inside => match inside.strip_prefix("$labels.") {
                    Some(name)
                        if !name.is_empty()
                            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') =>
                    {
                        Piece::Label(name.to_owned())
                    }
                    _ => return Err(InvalidTemplate),
                },
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }
}

impl Template {
    /// The text with the places filled; a label that is not there leaves nothing.
    pub fn fill(&self, labels: &Labels, value: f64) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(fixed) => text += fixed,
                Piece::Label(name) => text += labels.get(name).unwrap_or_default(),
                Piece::Value => text += &value.to_string(),
            }
        }
        text
    }
}
