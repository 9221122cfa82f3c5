//! The report as one page that an auditor files: no script, nothing loaded from elsewhere, charts as SVG, made to be printed.
//!
//! Everything from a server is escaped by the template.

use askama::Template;
use jiff::civil::Date;

use super::text::{login, percent};
use super::{Exempted, Finding, Gone, Group, Report, Scan, Show, TargetReport};
use crate::domain::finding::controls::{CONTROLS, Framework};
use crate::domain::finding::{Kind, Severity, counted, grouped};

/// Number of most urgent kinds of findings in the summary, and of targets named in the scope.
const URGENT: usize = 10;

/// Number of targets in the summary, so that it is one page.
const TARGETS: usize = 10;

/// Number of targets in one cell.
const IN_CELL: usize = 2;

/// Parts of the daemon's page around the report.
#[derive(Debug)]
pub struct Frame {
    /// The way from the page to the exporter's root.
    pub root: String,
    /// The form that selects, as HTML.
    pub form: String,
    /// True if the reader may read names: otherwise they have been removed.
    pub names: bool,
}

/// The style of the report for a page that may not have its own.
pub fn style(report: &Report) -> String {
    format!(
        "{}{}",
        include_str!("templates/report.css"),
        page_rule(report)
    )
}

/// Writes the report as a file of its own; `summary` leaves out the targets' own numbers.
pub fn render(report: &Report, summary: bool) -> String {
    write(report, summary, None)
}

/// Writes the report as a page of the daemon.
pub fn render_within(report: &Report, summary: bool, frame: Frame) -> String {
    write(report, summary, Some(frame))
}

fn write(report: &Report, summary: bool, frame: Option<Frame>) -> String {
    Page {
        names: frame.as_ref().is_none_or(|it| it.names),
        frame,
        report,
        summary,
    }
    .render()
    .expect("the template only writes into a string")
}

/// Page numbers and what stands at the foot of each printed page.
fn page_rule(report: &Report) -> String {
    let font = "font:8pt system-ui,sans-serif;color:#444";
    format!(
        "@page{{margin:16mm 14mm 18mm;@bottom-left{{content:\"{}\";{font}}}@bottom-right{{content:\"Page \" counter(page) \" of \" counter(pages);{font}}}}}\n",
        css_text(&foot(report))
    )
}

fn foot(report: &Report) -> String {
    let organization = report.organization.as_deref();
    let at = report.generated_at.strftime("%Y-%m-%d %H:%M UTC");
    match organization {
        Some(organization) => {
            format!("{organization} · Multi-factor authentication on Odoo · {at}")
        }
        None => format!("Multi-factor authentication on Odoo · {at}"),
    }
}

/// A text within quotes in a style sheet that stands in a page: letters, digits and a few signs as they are, the rest by its number.
fn css_text(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " .,:-·()".contains(c);
    text.chars()
        .map(|c| match c {
            c if plain(c) => c.to_string(),
            c => format!("\\{:x} ", u32::from(c)),
        })
        .collect()
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    summary: bool,
    names: bool,
    frame: Option<Frame>,
}

/// A finding with its target; none: the configuration.
type Found<'a> = (Option<&'a TargetReport>, &'a Finding);

/// A number of the summary.
struct Figure {
    number: String,
    text: String,
    class: &'static str,
}

/// All findings of one kind.
struct OfKind {
    kind: Kind,
    severity: Severity,
    /// The common text of all of them.
    detail: Option<String>,
    /// Targets (none: all of them), and what to do there.
    advice: Vec<(String, String)>,
    controls: String,
    /// The targets in words, if nothing else distinguishes their findings.
    only_targets: Option<String>,
    rows: Vec<Row>,
}

struct Row {
    target: String,
    title: String,
    detail: Option<String>,
    new: bool,
    /// A word, and the reason.
    accepted: Option<(&'static str, String)>,
    /// Affected users, if any.
    users: Option<String>,
}

/// The clauses of a framework, and what was found about each.
struct Clauses {
    name: &'static str,
    note: &'static str,
    rows: Vec<(&'static str, &'static str, String)>,
}

impl Show for Page<'_> {
    /// They stand before, for all targets.
    fn is_whole(&self) -> bool {
        false
    }
}

impl<'a> Page<'a> {
    fn title(&self) -> String {
        foot(self.report)
    }

    fn foot(&self) -> String {
        page_rule(self.report)
    }

    fn period(&self) -> String {
        let now = self.when(&self.report.generated_at);
        match &self.report.baseline {
            Some(baseline) => format!("{} to {now}", self.when(&baseline.generated_at)),
            None => format!("as of {now}"),
        }
    }

    fn scope(&self) -> String {
        let names: Vec<&str> = self
            .report
            .targets
            .iter()
            .map(|it| it.target.as_str())
            .collect();
        let of = format!(
            "{} of {}",
            names.len(),
            counted(
                self.report.configured_targets,
                "Odoo database",
                "Odoo databases"
            )
        );
        match names.as_slice() {
            [] => of,
            names => format!("{of}: {}", some(names, URGENT)),
        }
    }

    fn limits(&self) -> Vec<String> {
        let selection = &self.report.selection;
        let labels = selection.target_labels.iter();
        let mut lines: Vec<String> = labels
            .map(|(name, value)| format!("targets with the label {name}={value}"))
            .collect();
        lines.extend(selection.severity.map(|it| match it {
            Severity::Critical => "critical findings".to_owned(),
            it => format!("findings of severity {it} and higher"),
        }));
        lines.extend(
            selection
                .framework
                .map(|it| format!("findings that concern a control of {}", it.name())),
        );
        if self.summary {
            lines.push("the summary of all targets".to_owned());
        }
        lines
    }

    fn figures(&self) -> Vec<Figure> {
        let report = self.report;
        let total = report.targets.len() as u64;
        let mut figures = vec![
            figure(
                format!("{} of {}", grouped(report.read()), grouped(total)),
                "targets read",
                report.read() < total,
            ),
            self.coverage_of_all(),
            self.privileged_of_all(),
        ];
        let critical = report.count(Severity::Critical);
        let warning = grouped(report.count(Severity::Warning));
        let info = grouped(report.count(Severity::Info));
        figures.push(figure(
            grouped(critical),
            &format!(
                "critical findings, {warning} warning, {info} info, {} accepted",
                report.accepted().len()
            ),
            critical > 0,
        ));
        figures
    }

    /// Of the targets that say so.
    fn coverage_of_all(&self) -> Figure {
        let scans = self.report.targets.iter().filter_map(|it| it.scan.as_ref());
        let rows: Vec<(u64, u64)> = scans
            .filter_map(Scan::internal)
            .filter_map(|row| Some((row.protected?, row.eligible)))
            .collect();
        let (protected, eligible) = rows.iter().fold((0, 0), |(a, b), (protected, eligible)| {
            (a + protected, b + eligible)
        });
        let ratio = (eligible > 0).then(|| protected as f64 / eligible as f64);
        let text = format!(
            "of internal users protected: {} of {}{}",
            grouped(protected),
            grouped(eligible),
            self.known(rows.len())
        );
        figure(self.percent(&ratio), &text, false)
    }

    fn privileged_of_all(&self) -> Figure {
        let scans = self.report.targets.iter().filter_map(|it| it.scan.as_ref());
        let rows: Vec<(u64, u64)> = scans
            .filter_map(|scan| scan.privileged.as_ref())
            .filter_map(|it| Some((it.unprotected?, it.people)))
            .collect();
        let unprotected: u64 = rows.iter().map(|it| it.0).sum();
        let people: u64 = rows.iter().map(|it| it.1).sum();
        let text = format!(
            "of {} without a second factor{}",
            counted(people, "privileged user", "privileged users"),
            self.known(rows.len())
        );
        let number = if rows.is_empty() {
            "–".to_owned()
        } else {
            grouped(unprotected)
        };
        figure(number, &text, unprotected > 0)
    }

    /// On how many targets a number is known, where it is not on all.
    fn known(&self, count: usize) -> String {
        match self.report.targets.len() {
            all if all == count => String::new(),
            all => format!(" (known on {count} of {all} targets)"),
        }
    }

    fn unread(&self) -> u64 {
        self.report.targets.len() as u64 - self.report.read()
    }

    fn grade_chart(&self) -> String {
        let total = self.report.targets.len().max(1) as f64;
        let grades = self.report.grades();
        let mut parts: Vec<(&str, u64)> = grades.iter().map(|(it, n)| (it.as_str(), *n)).collect();
        parts.push(("unread", self.unread()));
        let mut x = 0.0;
        let mut rects = String::new();
        for (class, count) in &parts {
            let width = *count as f64 / total * 100.0;
            if *count > 0 {
                rects += &format!(
                    r#"<rect class="{class}" x="{x:.2}" width="{width:.2}" height="10"/>"#
                );
            }
            x += width;
        }
        let words: Vec<String> = parts.iter().map(|(it, n)| format!("{it}: {n}")).collect();
        format!(
            r#"<svg class="grades" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}">{rects}</svg>"#,
            words.join(", ")
        )
    }

    fn is_long(&self) -> bool {
        self.report.targets.len() > TARGETS
    }

    fn worst(&self) -> Vec<&'a TargetReport> {
        self.report
            .worst_first()
            .into_iter()
            .take(TARGETS)
            .collect()
    }

    fn all_targets(&self) -> Vec<&'a TargetReport> {
        self.report.targets.iter().collect()
    }

    fn coverage_before(&self, target: &TargetReport) -> String {
        let before = target.previous.as_ref().and_then(|it| it.internal_ratio);
        let now = target.scan.as_ref().and_then(|it| it.internal()?.ratio);
        match (before.map(percent), now.map(percent)) {
            (Some(before), Some(now)) if before != now => {
                format!(", was {before}{}", self.day_before(target))
            }
            _ => String::new(),
        }
    }

    /// Time of the previous numbers: the period has it if there is a previous report.
    fn day_before(&self, target: &TargetReport) -> String {
        match &target.previous {
            Some(numbers) if self.report.baseline.is_none() => {
                format!(" on {}", numbers.at.strftime("%Y-%m-%d"))
            }
            _ => String::new(),
        }
    }

    fn urgent(&self) -> Vec<Group<'a>> {
        let mut groups = self.report.groups();
        groups.truncate(URGENT);
        groups
    }

    fn link_of(&self, group: &Group<'_>) -> String {
        let text = askama::filters::escape(group.title, askama::filters::Html);
        let text = text.map(|it| it.to_string()).unwrap_or_default();
        if self.frame.is_some() {
            // Links are relative to the exporter's root there.
            return text;
        }
        format!(r##"<a href="#k-{}">{text}</a>"##, group.kind)
    }

    fn targets_of(&self, group: &Group<'_>) -> String {
        match group.targets.as_slice() {
            [] => "configuration".to_owned(),
            names => some(names, IN_CELL),
        }
    }

    fn users_of(&self, group: &Group<'_>) -> String {
        match group.users {
            0 => "–".to_owned(),
            users => grouped(users),
        }
    }

    fn gone(&self) -> Vec<(&'static str, &'a [Gone])> {
        let Some(baseline) = &self.report.baseline else {
            return Vec::new();
        };
        [
            ("Fixed", baseline.fixed.as_slice()),
            ("Unknown whether fixed", baseline.unknown.as_slice()),
        ]
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .collect()
    }

    fn exemptions(&self) -> Vec<(&'a str, &'a Exempted)> {
        let targets = self.report.targets.iter();
        targets
            .filter_map(|it| Some((it.target.as_str(), it.scan.as_ref()?)))
            .flat_map(|(name, scan)| scan.exemptions.iter().map(move |it| (name, it)))
            .collect()
    }

    fn whom(&self, exempted: &Exempted) -> String {
        match exempted.shared {
            true => format!("{} (defaults)", exempted.whom),
            false => exempted.whom.clone(),
        }
    }

    fn text(&self, text: &Option<String>) -> String {
        text.clone().unwrap_or_else(|| "–".to_owned())
    }

    fn date(&self, date: &Option<Date>) -> String {
        date.map_or("never".to_owned(), |date| date.to_string())
    }

    fn days(&self, seconds: &u64) -> String {
        counted(seconds / 86_400, "day", "days")
    }

    fn not_evaluated(&self, scan: &Scan) -> String {
        let names: Vec<&str> = scan.not_evaluated.iter().map(|it| it.as_str()).collect();
        if names.is_empty() {
            "–".to_owned()
        } else {
            names.join(", ")
        }
    }

    fn limit_of_lists(&self) -> String {
        if self.summary {
            return "The summary lists no users.".to_owned();
        }
        if !self.names {
            return "Lists of users need the role read_names.".to_owned();
        }
        let findings = self.report.all();
        match findings.iter().filter(|(_, it)| it.more_people > 0).count() {
            0 => "Lists of affected users are complete, but for portal users who are only counted."
                .to_owned(),
            cut => format!(
                "Lists of affected users are complete, but for portal users who are only counted and for {} that name the first users only and say how many more there are.",
                counted(cut as u64, "finding", "findings")
            ),
        }
    }

    fn kinds(&self) -> Vec<OfKind> {
        let mut kinds: Vec<(Kind, Vec<Found<'_>>)> = Vec::new();
        for (target, finding) in self.report.all() {
            match kinds.iter_mut().find(|(kind, _)| *kind == finding.kind) {
                Some((_, findings)) => findings.push((target, finding)),
                None => kinds.push((finding.kind, vec![(target, finding)])),
            }
        }
        let section = |(kind, findings): &(_, Vec<_>)| self.of_kind(*kind, findings);
        kinds.iter().map(section).collect()
    }

    fn of_kind(&self, kind: Kind, findings: &[Found<'_>]) -> OfKind {
        let first = findings[0].1;
        let all = |same: &dyn Fn(&Finding) -> bool| findings.iter().all(|(_, it)| same(it));
        let same_detail = all(&|it| it.detail == first.detail);
        let bare = |it: &Finding| it.concerned() == 0 && it.acceptance.is_none();
        let alike = same_detail && all(&|it| it.title == first.title && bare(it));
        let names = findings.iter().map(|(target, _)| name_of(*target));
        let rows = findings.iter().map(|(target, finding)| Row {
            target: name_of(*target).to_owned(),
            title: finding.title.clone(),
            detail: (!same_detail).then(|| finding.detail.clone()),
            new: self.report.baseline.is_some() && is_new(finding),
            accepted: accepted(finding),
            users: self.users(finding),
        });
        let new: Vec<&str> = findings
            .iter()
            .filter(|(_, it)| self.report.baseline.is_some() && is_new(it))
            .map(|(target, _)| name_of(*target))
            .collect();
        let only_targets = (alike || self.summary).then(|| {
            let mut names: Vec<&str> = names.collect();
            names.dedup();
            let new = match new.as_slice() {
                [] => String::new(),
                new => format!(" New on {}.", new.join(", ")),
            };
            let users: u64 = findings.iter().map(|(_, it)| it.concerned()).sum();
            let users = match users {
                0 => String::new(),
                users => format!(" {}.", counted(users, "affected user", "affected users")),
            };
            format!(
                "{}: {}.{users}{new}",
                counted(names.len() as u64, "target", "targets"),
                names.join(", ")
            )
        });
        OfKind {
            kind,
            severity: first.severity,
            detail: same_detail.then(|| first.detail.clone()),
            advice: advice(findings),
            controls: first.controls_in_words(),
            only_targets,
            rows: rows.collect(),
        }
    }

    fn users(&self, finding: &Finding) -> Option<String> {
        let all = counted(finding.concerned(), "affected user", "affected users");
        let names: Vec<String> = finding.people.iter().map(login).collect();
        let names = names.join(", ");
        match (finding.concerned(), finding.more_people) {
            (0, _) => None,
            _ if !self.names => Some(all),
            (_, 0) => Some(format!("{all}: {names}")),
            (_, more) => Some(format!(
                "The first {} of {all}: {names}. {} more are not listed.",
                finding.people.len(),
                grouped(more)
            )),
        }
    }

    fn controls(&self) -> Option<Clauses> {
        let framework = self.report.selection.framework?;
        let rows = CONTROLS.iter().filter(|it| it.framework == framework);
        Some(Clauses {
            name: Framework::name(framework),
            note: Framework::note(framework),
            rows: rows
                .map(|it| (it.clause, it.title, self.found(it.findings)))
                .collect(),
        })
    }

    /// Number of findings of these kinds that count, on how many targets, and where that is unknown.
    fn found(&self, kinds: &[Kind]) -> String {
        let counting: Vec<_> = self
            .report
            .counting()
            .filter(|(_, it)| kinds.contains(&it.kind))
            .collect();
        let scans = self.report.targets.iter().map(|it| it.scan.as_ref());
        let unknown = scans
            .filter(|scan| {
                scan.is_none_or(|scan| scan.not_evaluated.iter().any(|it| kinds.contains(it)))
            })
            .count() as u64;
        let mut text = match counting.len() as u64 {
            0 => "none".to_owned(),
            findings => {
                let mut names: Vec<&str> = counting.iter().map(|(it, _)| name_of(*it)).collect();
                names.dedup();
                names.sort_unstable();
                names.dedup();
                format!(
                    "{}: {}",
                    counted(findings, "finding", "findings"),
                    some(&names, IN_CELL)
                )
            }
        };
        if unknown > 0 {
            text += &format!(
                "; not completely evaluated on {}",
                counted(unknown, "target", "targets")
            );
        }
        text
    }
}

/// Each advice once; if there are several, with the targets that it is for.
fn advice(findings: &[Found<'_>]) -> Vec<(String, String)> {
    let mut texts: Vec<(&str, Vec<&str>)> = Vec::new();
    for (target, finding) in findings {
        let name = name_of(*target);
        match texts
            .iter_mut()
            .find(|(text, _)| *text == finding.what_to_do)
        {
            Some((_, names)) if names.last() == Some(&name) => {}
            Some((_, names)) => names.push(name),
            None => texts.push((&finding.what_to_do, vec![name])),
        }
    }
    let several = texts.len() > 1;
    let words = |names: &[&str]| {
        if several {
            names.join(", ")
        } else {
            String::new()
        }
    };
    texts
        .into_iter()
        .map(|(text, names)| (words(&names), text.to_owned()))
        .collect()
}

fn name_of(target: Option<&TargetReport>) -> &str {
    target.map_or("configuration", |it| it.target.as_str())
}

fn is_new(finding: &Finding) -> bool {
    finding.change == Some(super::Change::New) && !finding.is_accepted()
}

fn accepted(finding: &Finding) -> Option<(&'static str, String)> {
    let acceptance = finding.acceptance.as_ref()?;
    let word = if acceptance.expired {
        "acceptance expired"
    } else {
        "accepted"
    };
    Some((word, acceptance.in_words()))
}

fn figure(number: String, text: &str, bad: bool) -> Figure {
    Figure {
        number,
        text: text.to_owned(),
        class: if bad { "bad" } else { "good" },
    }
}

/// The first names, and how many more there are.
fn some(names: &[&str], most: usize) -> String {
    match names.len().saturating_sub(most) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..most].join(", ")),
    }
}
