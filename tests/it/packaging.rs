//! What packages bring along, checked by the tools that will read it. `make prove` installs and runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_odoo-mfa-exporter");

/// What the packages install.
const UNITS: [&str; 4] = [
    "odoo-mfa-exporter.service",
    "odoo-mfa-exporter.socket",
    "odoo-mfa-exporter-report.service",
    "odoo-mfa-exporter-report.timer",
];

/// The units in a directory of their own, with the program where this build has put it.
struct Units(tempfile::TempDir);

impl Units {
    fn new() -> Self {
        let units = Self(tempfile::tempdir().expect("a directory"));
        for unit in UNITS {
            let text = repository(&format!("systemd/{unit}"));
            fs::write(
                units.path(unit),
                text.replace("/usr/bin/odoo-mfa-exporter", PROGRAM),
            )
            .expect("a file");
        }
        units
    }

    fn path(&self, unit: &str) -> PathBuf {
        self.0.path().join(unit)
    }

    /// Fails above a tenth of this exposure: 0 is a service that can do nothing, 100 one that can do everything.
    fn exposure_is_at_most(&self, service: &str, tenths: u8) {
        let output = systemd_analyze(&[
            "security",
            "--offline=true",
            &format!("--threshold={tenths}"),
            &self.path(service).to_string_lossy(),
        ]);
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let units = Units::new();
    let paths = UNITS.map(|unit| units.path(unit).to_string_lossy().into_owned());
    let mut arguments = vec!["verify", "--man=no"];
    arguments.extend(paths.iter().map(String::as_str));
    let output = systemd_analyze(&arguments);
    assert_eq!(said(&output), "");
    assert!(output.status.success());
}

#[test]
fn the_service_is_confined_as_far_as_is_promised() {
    let units = Units::new();
    for service in [
        "odoo-mfa-exporter.service",
        "odoo-mfa-exporter-report.service",
    ] {
        units.exposure_is_at_most(service, 11);
    }
    let drop_ins = units.path("odoo-mfa-exporter.service.d");
    fs::create_dir(&drop_ins).expect("a directory");
    fs::write(
        drop_ins.join("addresses.conf"),
        repository("systemd/addresses.conf"),
    )
    .expect("a file");
    units.exposure_is_at_most("odoo-mfa-exporter.service", 10);
}

#[test]
fn the_kubernetes_manifest_holds_a_good_configuration() {
    let manifest = repository("packaging/kubernetes/configmap.yaml");
    let (_, config) = manifest.split_once("config.yml: |\n").expect("one entry");
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("erp"), "a-key\n").expect("a file");
    let path = directory.path().join("config.yml");
    let config = config.replace(
        "/run/secrets/odoo-mfa-exporter",
        &directory.path().to_string_lossy(),
    );
    fs::write(&path, config).expect("a file");
    let output = Command::new(PROGRAM)
        .args(["check", "--config.file"])
        .arg(path)
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{}", said(&output));
}

fn repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(path).expect("a file of the repository")
}

fn systemd_analyze(arguments: &[&str]) -> Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .env("SYSTEMD_COLORS", "0")
        .output()
        .expect("systemd-analyze runs: apt-get install systemd")
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text))
        .concat()
}
