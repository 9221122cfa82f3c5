//! Reads both text formats, by their specifications and not by our code.

use std::collections::BTreeMap;

/// One line of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A parsed exposition.
#[derive(Debug, Default, PartialEq)]
pub struct Text {
    /// By the name that the header gives.
    pub families: BTreeMap<String, Declared>,
    pub samples: Vec<Sample>,
    pub ended: bool,
}

/// The header of a family.
#[derive(Debug, Default, PartialEq)]
pub struct Declared {
    pub kind: String,
    pub help: String,
    pub unit: Option<String>,
}

impl Text {
    /// Reads it, and refuses a family that is declared twice.
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line does not end");
        let mut read = Self::default();
        for line in text.lines() {
            assert!(!read.ended, "after the end: {line}");
            let Some(comment) = line.strip_prefix("# ") else {
                read.samples.push(sample(line));
                continue;
            };
            if comment == "EOF" {
                read.ended = true;
                continue;
            }
            let mut words = comment.splitn(3, ' ');
            let (keyword, name, rest) = (words.next(), words.next(), words.next());
            let family = read
                .families
                .entry(name.expect(line).to_owned())
                .or_default();
            let rest = rest.expect(line).to_owned();
            let twice = match keyword {
                Some("HELP") => std::mem::replace(&mut family.help, rest),
                Some("TYPE") => std::mem::replace(&mut family.kind, rest),
                Some("UNIT") => family.unit.replace(rest).unwrap_or_default(),
                _ => panic!("not a header: {line}"),
            };
            assert_eq!(twice, "", "twice: {line}");
        }
        read
    }

    /// The samples of a name.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name)
    }
}

fn sample(line: &str) -> Sample {
    let mut labels = BTreeMap::new();
    let (name, value) = match line.split_once('{') {
        None => line.split_once(' ').expect(line),
        Some((name, rest)) => {
            let mut rest = rest;
            while !rest.starts_with('}') {
                let (label, after) = rest.trim_start_matches(',').split_once("=\"").expect(line);
                let (value, after) = quoted(after);
                assert_eq!(
                    labels.insert(label.to_owned(), value),
                    None,
                    "a label twice: {line}"
                );
                rest = after;
            }
            (name, rest.strip_prefix("} ").expect(line))
        }
    };
    Sample {
        name: name.into(),
        labels,
        value: value.parse().expect(line),
    }
}

/// The value up to the closing quote, and what follows it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &text[index + 1..]),
            '\\' => match characters.next().expect("something is escaped").1 {
                'n' => value.push('\n'),
                escaped @ ('\\' | '"') => value.push(escaped),
                other => panic!("\\{other} is no escape"),
            },
            character => value.push(character),
        }
    }
    panic!("no closing quote: {text}");
}
