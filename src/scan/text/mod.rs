//! The report for a terminal: each target on one screen, or in full, and at the end a summary that fits on one screen.

mod layout;

use anstyle::AnsiColor::{Cyan, Green, Red, Yellow};

use super::{Change, Coverage, Finding, Person, Report, Scan, TargetReport};
use crate::domain::UserType;
use crate::domain::finding::{Severity, count_users, counted, grouped};
use crate::domain::grade::Letter;
use layout::{Cell, Paint, Table, cut, wrap};

/// Output settings.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// With colors, as escape sequences.
    pub color: bool,
    /// Number of columns; at least 40 are used.
    pub width: usize,
    /// Detail of each target.
    pub detail: Detail,
}

/// Detail of each target in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Nothing but the summary of all.
    Summary,
    /// One screen.
    Screen,
    /// Everything.
    Full,
}

/// Lines of a screen.
const SCREEN: usize = 24;

/// Longer lines of prose are hard to read. Tables are as wide as the terminal.
const PROSE: usize = 120;

/// Maximum number of users named in a finding.
const NAMES: usize = 8;

/// Number of most urgent findings in the summary.
const URGENT: usize = 5;

/// Number of targets in the summary.
const SUMMARY_TARGETS: usize = 10;

/// Writes the report.
pub fn render(report: &Report, style: Style) -> String {
    let mut out = Writer {
        text: String::new(),
        paint: Paint(style.color),
        width: style.width.max(40),
    };
    for target in &report.targets {
        match style.detail {
            Detail::Summary => {}
            Detail::Screen => out.screen(target),
            Detail::Full => out.target(target),
        }
    }
    if !report.findings.is_empty() && style.detail != Detail::Summary {
        out.rule("─");
        out.findings("Configuration", &report.findings);
        out.line("");
    }
    out.summary(report);
    out.text
}

struct Writer {
    text: String,
    paint: Paint,
    width: usize,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn heading(&mut self, title: &str) {
        self.text.push('\n');
        let title = self.paint.bold(title);
        self.line(&title);
    }

    /// A paragraph, each line behind the same indentation.
    fn paragraph(&mut self, indent: usize, first: &str, text: &str) {
        let room = self.width.min(PROSE) - indent;
        for (index, line) in wrap(text, room).into_iter().enumerate() {
            let lead = if index == 0 { first } else { "" };
            let lead = layout::pad(lead, indent);
            self.line(&format!("{lead}{line}"));
        }
    }

    fn table(&mut self, table: &Table) {
        let text = table.render(self.paint, self.width);
        self.text.push_str(&text);
    }

    fn rule(&mut self, sign: &str) {
        let rule = sign.repeat(self.width);
        let rule = self.paint.dim(&rule);
        self.line(&rule);
    }

    /// The beginning of every form: the target, or why it could not be read.
    fn heading_of(&mut self, target: &TargetReport) {
        self.rule("─");
        let name = cut(&target.target, self.width);
        let name = self.paint.bold(&name);
        self.line(&name);
        self.paragraph(0, "", &format!("{} · {}", target.url, target.database));
        if let Some(error) = &target.error {
            let word = self.paint.color(Red, "FAILED");
            self.line(&format!("{word} ({})", error.reason));
            self.paragraph(2, "", &error.message);
            if let Some(hint) = error.hint {
                self.paragraph(4, "  →", hint);
            }
        }
        if let Some(scan) = &target.scan {
            let seen = format!(
                "Odoo {} over {}, polled {}, {}",
                scan.server_version,
                scan.api,
                scan.polled_at.strftime("%Y-%m-%d %H:%M UTC"),
                scan.completeness()
            );
            self.paragraph(0, "", &seen);
        }
    }

    fn target(&mut self, target: &TargetReport) {
        self.heading_of(target);
        if let Some(scan) = &target.scan {
            self.coverage(scan);
            self.privileged(scan);
            self.keys(scan);
            self.server(scan);
            let title = format!("Findings ({})", scan.findings.len());
            self.findings(&title, &scan.findings);
        }
        self.text.push('\n');
    }

    /// One screen: the numbers in few lines, and of each finding the title, as many as fit.
    fn screen(&mut self, target: &TargetReport) {
        let start = self.text.lines().count();
        self.heading_of(target);
        let Some(scan) = &target.scan else {
            self.text.push('\n');
            return;
        };
        self.grade(target, scan);
        self.coverage_table(scan);
        let facts = [privileged_in_short(scan), keys_in_short(scan)];
        for line in facts.into_iter().flatten() {
            self.paragraph(2, "", &line);
        }
        self.line(&findings_in_short(scan));
        let used = self.text.lines().count() - start;
        // One line says what is left out, and one sets off the next target.
        let room = SCREEN.saturating_sub(used + 2);
        let counting: Vec<&Finding> = scan.counting().collect();
        for finding in counting.iter().take(room) {
            let tag = self.tag(finding.severity);
            let new = if is_new(finding) { "NEW " } else { "" };
            let title = cut(&format!("{new}{}", finding.title), self.width - INDENT);
            self.line(&format!("{tag}{title}"));
        }
        let more = counting.len().saturating_sub(room);
        if more > 0 {
            self.line(&format!("  and {more} more: --verbose shows everything"));
        }
        self.text.push('\n');
    }

    /// The grade, and what limits it most.
    fn grade(&mut self, target: &TargetReport, scan: &Scan) {
        let mut text = format!("Grade {}", grade_text(scan));
        if let Some(before) = target.grade_before() {
            text += &format!(", was {before}");
        }
        if scan.grade.without_acceptance != scan.grade.letter {
            text += &format!(
                ", {} without accepted findings",
                scan.grade.without_acceptance
            );
        }
        if let Some(limit) = scan.grade.limits.first() {
            text += &format!(": {}", limit.because);
        }
        self.paragraph(0, "", &text);
    }

    fn coverage(&mut self, scan: &Scan) {
        let accepted: Vec<&str> = scan.accepted_factors.iter().map(|it| it.as_str()).collect();
        self.heading(&format!("Coverage (accepted: {})", accepted.join(", ")));
        self.coverage_table(scan);
        if scan.coverage.iter().any(|row| row.protected.is_none()) {
            self.paragraph(
                2,
                "",
                "A dash stands for unknown numbers; the findings say why.",
            );
        }
    }

    fn coverage_table(&mut self, scan: &Scan) {
        let mut table = Table::new(&[
            "type",
            "protected",
            "",
            "",
            "target",
            "exempt",
            "grace",
            "totp",
            "passkey",
        ]);
        for row in shown(&scan.coverage) {
            let color = match (row.ratio, row.target) {
                (Some(is), Some(wanted)) if is < wanted => Red,
                (Some(_), Some(_)) => Green,
                _ => Cyan,
            };
            let protected = row.protected.map_or("-".to_owned(), grouped);
            table.row(vec![
                Cell::left(row.user_type.as_str()),
                Cell::right(&format!("{protected} of {}", grouped(row.eligible))),
                row.ratio
                    .map_or(Cell::left(""), |ratio| Cell::bar(ratio, color)),
                Cell::right(&row.ratio.map_or("-".to_owned(), percent)).colored(color),
                Cell::right(&row.target.map_or("-".to_owned(), percent)),
                Cell::number(Some(row.exempt)),
                Cell::number(row.grace),
                Cell::number(row.totp),
                Cell::number(row.passkey),
            ]);
        }
        self.table(&table);
    }

    fn privileged(&mut self, scan: &Scan) {
        let Some(privileged) = &scan.privileged else {
            return;
        };
        self.heading("Roles");
        let mut table = Table::new(&["role", "users", "without", "overdue", "protected", "exempt"]);
        for role in &privileged.roles {
            let share = role
                .unprotected
                .filter(|_| role.people > 0)
                .map(|unprotected| (role.people - unprotected) as f64 / role.people as f64);
            let color = match (role.unprotected, role.unprotected_past_grace) {
                (_, Some(1..)) => Red,
                (Some(0), _) => Green,
                _ => Cyan,
            };
            table.row(vec![
                Cell::left(&role.role),
                Cell::number(Some(role.people)),
                Cell::number(role.unprotected),
                Cell::number(role.unprotected_past_grace).colored(color),
                share.map_or(Cell::left(""), |share| Cell::bar(share, color)),
                Cell::number(Some(role.exempt)),
            ]);
        }
        self.table(&table);
        let Some(unprotected) = privileged.unprotected.filter(|count| *count > 0) else {
            return;
        };
        self.heading(&format!(
            "Privileged and unprotected ({})",
            grouped(unprotected)
        ));
        let mut table = Table::new(&["name", "login", "", "roles"]);
        for person in &privileged.who {
            table.row(vec![
                Cell::left(person.person.name.as_deref().unwrap_or("?")),
                Cell::left(&login(&person.person)),
                Cell::left(if person.in_grace { "in grace" } else { "" }),
                Cell::left(&person.roles.join(", ")),
            ]);
        }
        self.table(&table);
        let more = unprotected.saturating_sub(privileged.who.len() as u64);
        if more > 0 {
            self.line(&format!("  and {} more", grouped(more)));
        }
    }

    fn keys(&mut self, scan: &Scan) {
        let Some(keys) = &scan.api_keys else { return };
        self.heading("API keys and trusted browsers");
        let ages: Vec<String> = keys
            .by_age
            .iter()
            .filter(|age| age.keys > 0)
            .map(|age| format!("{} {}", grouped(age.keys), age.words))
            .collect();
        let known = |number: Option<u64>| number.map_or("-".to_owned(), grouped);
        let mut lines = vec![
            format!(
                "{} of {}: {} unrestricted, {} for RPC, {} other",
                counted(keys.working, "active API key", "active API keys"),
                count_users(keys.owners),
                grouped(keys.unrestricted),
                grouped(keys.rpc),
                grouped(keys.other)
            ),
            format!(
                "{} of privileged users, {} of unprotected users, {} of archived users",
                known(keys.of_privileged),
                known(keys.of_unprotected),
                grouped(keys.of_archived)
            ),
            format!(
                "{} without expiry, {} expiring within 30 days, {} expired",
                grouped(keys.without_expiry),
                grouped(keys.expiring_30d),
                grouped(keys.expired)
            ),
        ];
        if !ages.is_empty() {
            lines.push(format!("age: {}", ages.join(", ")));
        }
        if let Some(devices) = &scan.trusted_devices {
            lines.push(format!(
                "without the second factor: {} of {}",
                counted(devices.devices, "trusted browser", "trusted browsers"),
                count_users(devices.owners)
            ));
        }
        for line in lines {
            self.paragraph(2, "", &line);
        }
    }

    fn server(&mut self, scan: &Scan) {
        self.heading("Server");
        let enforced = match &scan.enforcement {
            None => "mandatory second factor: unknown".to_owned(),
            Some(enforcement) if enforcement.covers.is_empty() => {
                "mandatory second factor: none".to_owned()
            }
            Some(enforcement) => format!(
                "mandatory second factor: {} for {}",
                enforcement.policy,
                words(enforcement.covers.iter().map(|it| it.as_str()))
            ),
        };
        self.paragraph(2, "", &enforced);
        let modules = match &scan.modules {
            None => "unknown".to_owned(),
            Some(modules) if modules.is_empty() => "none that affect authentication".to_owned(),
            Some(modules) => words(modules.iter().map(|it| it.as_str())),
        };
        self.paragraph(2, "", &format!("modules: {modules}"));
        let open: Vec<String> = scan
            .coverage
            .iter()
            .filter_map(|row| Some((row.user_type, row.password_rpc?)))
            .filter(|(_, people)| *people > 0)
            .map(|(user_type, people)| format!("{} {user_type}", grouped(people)))
            .collect();
        if !open.is_empty() {
            let line = format!("password alone may open RPC: {}", open.join(", "));
            self.paragraph(2, "", &line);
        }
        for vantage in &scan.surface {
            self.heading(&format!("Reachable from {}", vantage.vantage));
            let mut table = Table::new(&["endpoint", "", "why"]);
            for seen in &vantage.endpoints {
                let state = match (seen.exposed, seen.expected_blocked) {
                    (Some(true), true) => Cell::left("reachable").colored(Red),
                    (Some(true), false) => Cell::left("reachable"),
                    (Some(false), _) => Cell::left("blocked").colored(Green),
                    (None, _) => Cell::left("unknown").colored(Yellow),
                };
                table.row(vec![
                    Cell::left(seen.endpoint.as_str()),
                    state,
                    Cell::left(&seen.why),
                ]);
            }
            self.table(&table);
        }
    }

    fn findings(&mut self, title: &str, findings: &[Finding]) {
        self.heading(title);
        if findings.is_empty() {
            self.line("  none");
        }
        for finding in findings {
            let tag = if finding.is_accepted() {
                self.paint.dim(&layout::pad("ACCEPTED", INDENT))
            } else {
                self.tag(finding.severity)
            };
            let new = if is_new(finding) { "NEW " } else { "" };
            let title = format!("{new}{}", finding.title);
            let mut lines = wrap(&title, self.width.min(PROSE) - INDENT).into_iter();
            let first = self.paint.bold(&lines.next().unwrap_or_default());
            self.line(&format!("{tag}{first}"));
            for line in lines {
                let line = self.paint.bold(&line);
                self.line(&format!("{}{line}", " ".repeat(INDENT)));
            }
            if let Some(acceptance) = &finding.acceptance {
                let word = if acceptance.expired {
                    "Was accepted"
                } else {
                    "Accepted"
                };
                self.paragraph(INDENT, "", &format!("{word}: {}.", acceptance.in_words()));
            }
            self.paragraph(INDENT, "", &finding.detail);
            self.paragraph(INDENT, "        →", &finding.what_to_do);
            if let Some(people) = people(finding) {
                self.paragraph(INDENT, "", &people);
            }
            let controls = finding.controls_in_words();
            if !controls.is_empty() {
                self.paragraph(INDENT, "", &format!("Controls: {controls}"));
            }
        }
    }

    fn tag(&self, severity: Severity) -> String {
        let word = layout::pad(&severity.as_str().to_uppercase(), INDENT);
        let color = match severity {
            Severity::Critical => Red,
            Severity::Warning => Yellow,
            Severity::Info => Cyan,
        };
        self.paint.color(color, &word)
    }

    fn summary(&mut self, report: &Report) {
        self.rule("═");
        let title = self.paint.bold("Summary");
        self.line(&title);
        let mut table = Table::new(&[
            "target",
            "grade",
            "internal",
            "",
            "privileged without",
            "critical",
            "warning",
            "info",
        ]);
        // The worst first, so that what is left out of a long list is the best.
        let targets = report.worst_first();
        for target in targets.iter().take(SUMMARY_TARGETS) {
            table.row(summary_row(target));
        }
        self.table(&table);
        if targets.len() > SUMMARY_TARGETS {
            self.line(&format!(
                "  and {} more targets",
                targets.len() - SUMMARY_TARGETS
            ));
        }
        if let [only] = targets.as_slice()
            && let Some(scan) = &only.scan
        {
            for limit in &scan.grade.limits {
                let line = format!("at most {}: {}", limit.at_most, limit.because);
                self.paragraph(2, "", &line);
            }
        }
        if let Some(line) = changes_in_short(report) {
            self.paragraph(2, "", &line);
        }
        self.urgent(report);
    }

    /// Findings of one kind on several targets are one line.
    fn urgent(&mut self, report: &Report) {
        let groups = report.groups();
        if !groups.is_empty() {
            self.heading("Most urgent");
        }
        for group in groups.iter().take(URGENT) {
            let tag = self.tag(group.severity);
            let what = match group.targets.as_slice() {
                [target] if report.targets.len() > 1 => format!("{target}: {}", group.title),
                [] | [_] => group.title.to_owned(),
                targets => format!("{}: {} targets", group.title, targets.len()),
            };
            let what = cut(&what, self.width - INDENT);
            self.line(&format!("{tag}{what}"));
        }
    }
}

fn is_new(finding: &Finding) -> bool {
    finding.change == Some(Change::New) && !finding.is_accepted()
}

/// Changes since the previous report, on one line.
fn changes_in_short(report: &Report) -> Option<String> {
    let baseline = report.baseline.as_ref()?;
    let mut text = format!(
        "since {}: {} new, {} fixed, {} unchanged",
        baseline.generated_at.strftime("%Y-%m-%d %H:%M UTC"),
        grouped(baseline.new),
        grouped(baseline.fixed.len() as u64),
        grouped(baseline.unchanged)
    );
    if !baseline.unknown.is_empty() {
        text += &format!(", {} unknown", grouped(baseline.unknown.len() as u64));
    }
    Some(text)
}

fn privileged_in_short(scan: &Scan) -> Option<String> {
    let privileged = scan.privileged.as_ref()?;
    let unprotected = privileged.unprotected?;
    let roles: Vec<String> = privileged
        .roles
        .iter()
        .filter_map(|role| Some((&role.role, role.unprotected.filter(|it| *it > 0)?)))
        .map(|(role, users)| format!("{role} {}", grouped(users)))
        .collect();
    let mut text = format!(
        "in roles: {} of {} without a second factor",
        grouped(unprotected),
        counted(privileged.people, "user", "users")
    );
    if !roles.is_empty() {
        text += &format!(" ({})", roles.join(", "));
    }
    Some(text)
}

fn keys_in_short(scan: &Scan) -> Option<String> {
    let keys = scan.api_keys.as_ref()?;
    let known = |number: Option<u64>| number.map_or("-".to_owned(), grouped);
    Some(format!(
        "{}: {} of privileged users, {} of users without a second factor, {} of archived users",
        counted(keys.working, "active API key", "active API keys"),
        known(keys.of_privileged),
        known(keys.of_unprotected),
        grouped(keys.of_archived)
    ))
}

fn findings_in_short(scan: &Scan) -> String {
    let accepted = scan.findings.len() - scan.counting().count();
    let mut text = format!(
        "Findings: {} critical, {} warning, {} info",
        scan.count(Severity::Critical),
        scan.count(Severity::Warning),
        scan.count(Severity::Info)
    );
    if accepted > 0 {
        text += &format!(", {accepted} accepted");
    }
    text
}

/// Start of the text of a finding.
const INDENT: usize = 10;

fn summary_row(target: &TargetReport) -> Vec<Cell> {
    let Some(scan) = &target.scan else {
        let reason = target
            .error
            .as_ref()
            .map_or("failed", |error| error.reason.as_str());
        return vec![
            Cell::left(&target.target),
            Cell::left("-"),
            Cell::left(&format!("failed: {reason}")).colored(Red),
        ];
    };
    let color = match scan.grade.letter {
        Letter::A | Letter::B => Green,
        Letter::C | Letter::D => Yellow,
        Letter::E | Letter::F => Red,
    };
    let ratio = scan.internal().and_then(|row| row.ratio);
    let count = |severity| Cell::number(Some(scan.count(severity)));
    vec![
        Cell::left(&target.target),
        Cell::left(&grade_and_before(target, scan)).colored(color),
        ratio.map_or(Cell::left(""), |ratio| Cell::bar(ratio, color)),
        Cell::right(&ratio.map_or("unknown".to_owned(), percent)),
        Cell::number(scan.privileged.as_ref().and_then(|it| it.unprotected)),
        count(Severity::Critical),
        count(Severity::Warning),
        count(Severity::Info),
    ]
}

fn grade_and_before(target: &TargetReport, scan: &Scan) -> String {
    match target.grade_before() {
        Some(before) => format!("{}, was {before}", grade_text(scan)),
        None => grade_text(scan),
    }
}

/// The letter, with its range if facts are unknown.
pub fn grade_text(scan: &Scan) -> String {
    let grade = &scan.grade;
    if !grade.incomplete {
        grade.letter.to_string()
    } else if grade.letter == grade.at_best {
        format!("{} (incomplete)", grade.letter)
    } else {
        format!("{} to {} (incomplete)", grade.letter, grade.at_best)
    }
}

/// The types that there are users of, and internal users in any case.
pub fn shown(coverage: &[Coverage]) -> impl Iterator<Item = &Coverage> {
    coverage.iter().filter(|row| {
        row.active + row.archived > 0 || row.user_type == UserType::Internal || row.target.is_some()
    })
}

/// A share in percent, rounded down to a tenth, so that 100% means all users.
pub fn percent(ratio: f64) -> String {
    // A ten-thousandth of a percent makes up for shares such as 0.9 that binary numbers fall just short of.
    let tenths = (ratio * 1000.0 + 1e-6).floor();
    if (tenths % 10.0).abs() < f64::EPSILON {
        format!("{:.0}%", tenths / 10.0)
    } else {
        format!("{:.1}%", tenths / 10.0)
    }
}

/// The login of a user, or the id if it was not read.
pub(super) fn login(person: &Person) -> String {
    person
        .login
        .clone()
        .unwrap_or_else(|| format!("res.users {}", person.id))
}

/// The affected users of a finding, on one line.
fn people(finding: &Finding) -> Option<String> {
    if finding.people.is_empty() {
        return None;
    }
    let names: Vec<String> = finding.people.iter().take(NAMES).map(login).collect();
    let more = finding.people.len().saturating_sub(NAMES) as u64 + finding.more_people;
    Some(match more {
        0 => names.join(", "),
        more => format!("{} and {} more", names.join(", "), grouped(more)),
    })
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
