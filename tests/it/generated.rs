//! What the program generates from its own declarations: schema, starting configuration, help, manual pages, completions.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use odoo_mfa_exporter::config::{Config, Level, ProcessEnv, json_schema, starting_configuration};
use serde_json::{Value, json};

/// Validates by Python's jsonschema: a line of JSON in, what is wrong with it out.
const VALIDATOR: &str = "
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
for line in sys.stdin:
    errors = Draft202012Validator(schema).iter_errors(json.loads(line))
    print(json.dumps(sorted(e.json_path + ': ' + e.message for e in errors)), flush=True)
";

/// What the checked-in schema has against each of these.
fn complaints(configurations: &[Value]) -> Vec<Vec<String>> {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.schema.json");
    let mut validator = Command::new("python3")
        .args(["-c", VALIDATOR, schema])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3; install it: apt-get install python3 python3-jsonschema");
    let lines: Vec<_> = configurations.iter().map(|it| format!("{it}\n")).collect();
    let mut to = validator.stdin.take().expect("a pipe");
    to.write_all(lines.concat().as_bytes()).expect("it reads");
    drop(to);
    let output = validator.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "install it: apt-get install python3-jsonschema"
    );
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let complaints = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let complaints: Vec<_> = complaints.collect();
    assert_eq!(complaints.len(), configurations.len());
    complaints
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The examples of configurations in a page: those that begin with a section of the configuration. A part is completed.
fn examples(page: &str) -> Vec<Value> {
    let sections = json_schema()["properties"].clone();
    let blocks = page.split("```yaml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().expect("a block"));
    let mut examples = Vec::new();
    for block in blocks {
        // In a list, a block is indented.
        let indent = block.len() - block.trim_start_matches(' ').len();
        let lines = block.lines().map(|line| line.get(indent..).unwrap_or(""));
        let mut example = yaml(&lines.collect::<Vec<_>>().join("\n"));
        let Some(keys) = example.as_object() else {
            continue;
        };
        if keys.keys().all(|key| sections.get(key).is_some()) {
            if example.get("targets").is_none() {
                example["targets"] = json!([]);
            }
            examples.push(example);
        }
    }
    examples
}

#[test]
fn every_example_fits_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).expect("a directory");
    let pages = pages.map(|page| page.expect("a page").path());
    let pages = pages.filter(|page| page.extension().is_some_and(|it| it == "md"));
    let mut found = Vec::new();
    for page in pages.chain([root.join("README.md")]) {
        let text = std::fs::read_to_string(&page).expect("a page");
        let examples = examples(&text).into_iter();
        found.extend(examples.map(|example| (page.clone(), example)));
    }
    assert!(found.len() >= 8, "{} examples only", found.len());
    let configurations: Vec<_> = found.iter().map(|(_, example)| example.clone()).collect();
    for ((page, example), complaints) in found.iter().zip(complaints(&configurations)) {
        assert!(
            complaints.is_empty(),
            "{}: {complaints:?}: {example}",
            page.display()
        );
    }
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.yml");
    let target = json!({"name": "a", "url": "https://a", "database": "a", "api_key": "k"});
    let with = |field: &str, value: Value| {
        let mut target = target.clone();
        target[field] = value;
        json!({"targets": [target]})
    };
    let vantage = |vantage: Value| with("surface", json!({"vantages": [vantage]}));
    let right = [
        json!({"targets": [target]}),
        with("grace", json!(0)),
        with("grace", json!("1w2d")),
        with("coverage_target", json!({"internal": 1, "portal": 0.5})),
        with("labels", json!({"team": "Größe 1"})),
        with(
            "exemptions",
            json!([{"login": "x", "reason": "other", "expires": "2027-01-31"}]),
        ),
        vantage(json!({"name": "outside", "expect_blocked": []})),
    ];
    let wrong = [
        json!({}),
        json!({"targets": "a"}),
        json!({"targets": [target], "nobody": 1}),
        json!({"targets": [{"name": "a", "url": "https://a", "api_key": "k"}]}),
        json!({"targets": [{"name": "a", "url": "https://a", "database": "a"}]}),
        with("api_key_file", json!("two.key")),
        with("databse", json!("a")),
        with("database", json!(17)),
        with("name", json!(" ")),
        with("url", json!("erp.example.com")),
        with("url", json!("https://a?db=b")),
        with("grace", json!("")),
        with("grace", json!(14)),
        with("grace", json!("5min")),
        with("grace", json!("1h1d")),
        with("api", json!("xmlrpc")),
        with("accepted_factors", json!(["sms"])),
        with("allow_plain_http", json!("yes")),
        with("coverage_target", json!({"internal": 90})),
        with("coverage_target", json!({"external": 0.9})),
        with("labels", json!({"my-team": "x"})),
        with("exemptions", json!([{"reason": "other"}])),
        with(
            "exemptions",
            json!([{"login": "x", "group": "a.b", "reason": "other"}]),
        ),
        with(
            "exemptions",
            json!([{"group": "managers", "reason": "other"}]),
        ),
        with(
            "exemptions",
            json!([{"login": "x", "reason": "other", "expires": "soon"}]),
        ),
        vantage(json!({"expect_blocked": []})),
        json!({"targets": [target], "alerting": {"rules": {"OdooMfaNothing": {"enabled": false}}}}),
    ];
    let accepted = |config: &Value| {
        std::fs::write(&path, config.to_string()).expect("a file");
        Config::load(&path, &ProcessEnv).is_ok()
    };
    for (config, complaints) in right.iter().zip(complaints(&right)) {
        assert!(accepted(config), "{config}");
        assert!(complaints.is_empty(), "{complaints:?}: {config}");
    }
    for (config, complaints) in wrong.iter().zip(complaints(&wrong)) {
        assert!(!accepted(config), "{config}");
        assert!(!complaints.is_empty(), "{config}");
    }
}

fn program(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"))
        .args(arguments)
        .output();
    output.expect("the program starts")
}

fn printed(arguments: &[&str]) -> String {
    let output = program(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_starting_configuration_is_right_and_so_is_all_that_it_offers() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.yml");
    let text = printed(&["config", "init"]);
    assert_eq!(text, starting_configuration());
    std::fs::write(&path, &text).expect("a file");
    let check = ["--config.file", path.to_str().expect("UTF-8"), "check"];
    let output = program(&check);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "there is no key yet");
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    std::fs::write(directory.path().join("erp.key"), "k").expect("a file");
    printed(&check);

    // With every mark taken away, but for the other places of the key.
    let active = |line: &str| {
        let setting = line.trim_start();
        match setting.strip_prefix('#') {
            Some(rest) if rest.starts_with("api_key") => String::new(),
            Some(rest) if !rest.starts_with([' ', '\n']) && !rest.is_empty() => {
                line.replacen('#', "", 1)
            }
            _ => line.to_owned(),
        }
    };
    let everything: Vec<_> = text.lines().map(active).collect();
    let everything = everything.join("\n");
    let config = yaml(&everything);
    assert!(config["targets"][0]["surface"].is_object() && config["metrics"].is_object());
    assert_eq!(complaints(&[config]), [Vec::<String>::new()]);
    std::fs::write(&path, &everything).expect("a file");
    let found = Config::load(&path, &ProcessEnv).expect_err("some files are not there");
    let errors = found.iter().filter(|it| it.level == Level::Error);
    for error in errors {
        assert!(
            error.message.contains("`ca_file` cannot be read"),
            "{error}"
        );
    }
}

#[test]
fn every_command_teaches_and_has_a_page() {
    let directory = tempfile::tempdir().expect("a directory");
    printed(&["man", directory.path().to_str().expect("UTF-8")]);
    let commands: [&[&str]; 14] = [
        &[],
        &["serve"],
        &["demo"],
        &["check"],
        &["alerts"],
        &["alerts", "rules"],
        &["alerts", "test"],
        &["scan"],
        &["history"],
        &["changes"],
        &["config"],
        &["config", "init"],
        &["schema"],
        &["completions"],
    ];
    for command in commands {
        let help = printed(&[command, &["--help"]].concat());
        assert!(help.contains("Examples:"), "{command:?}: {help}");
        let name = [&["odoo-mfa-exporter"], command].concat().join("-");
        let page = directory.path().join(format!("{name}.1"));
        let groff = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww"])
            .arg(&page)
            .output();
        let groff = groff.expect("groff; install it: apt-get install groff-base");
        let complaints = String::from_utf8_lossy(&groff.stderr);
        assert!(
            groff.status.success() && complaints.is_empty(),
            "{name}: {complaints}"
        );
        assert!(
            String::from_utf8_lossy(&groff.stdout).contains("Examples"),
            "{name}"
        );
    }
    let listed = printed(&["--help"]);
    for command in commands.iter().filter_map(|command| command.first()) {
        assert!(
            listed.contains(&format!("\n  {command} ")),
            "{command} is not in {listed}"
        );
    }
}

#[test]
fn completions_complete() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            printed(&["completions", shell]).contains("config.file"),
            "{shell}"
        );
    }
    let script = printed(&["completions", "bash"]);
    let completed = |words: &[&str]| {
        let (last, program) = (words[words.len() - 1], "odoo-mfa-exporter");
        let ask = format!(
            "COMP_WORDS=({program} {words}); COMP_CWORD={}; \
             $(complete -p {program} | sed 's/.*-F \\([^ ]*\\).*/\\1/') {program} {last} ''; \
             echo \"${{COMPREPLY[@]}}\"",
            words.len(),
            words = words.join(" "),
        );
        let mut bash = Command::new("bash");
        let bash = bash
            .args(["-c", &format!("{script}\n{ask}")])
            .output()
            .expect("bash");
        String::from_utf8_lossy(&bash.stdout).trim().to_owned()
    };
    assert_eq!(completed(&["sc"]), "scan schema");
    assert_eq!(completed(&["scan", "--fo"]), "--format");
    assert_eq!(completed(&["alerts", "te"]), "test");
}
