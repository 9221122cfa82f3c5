//! Exemptions: whom the configuration excuses from the second factor, why, and until when.

use super::role::XmlId;
use super::vocabulary::{ExemptReason, UserType};
use super::{IdSet, facts::People};

/// One entry of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// Whom it is for.
    pub matcher: Matcher,
    /// Only users of this type; for a login or a pattern, internal users unless another type is configured.
    pub user_type: Option<UserType>,
    /// Why.
    pub reason: ExemptReason,
    /// The last day on which it holds, in UTC; none if it holds for ever.
    pub expires: Option<jiff::civil::Date>,
    /// Whether it stands in the defaults: it concerns the targets on which it matches users, and no other.
    pub shared: bool,
    /// For reports only: no number depends on it.
    pub note: Note,
}

/// What an auditor wants to know of an exemption.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// Who approved it.
    pub approved_by: Option<String>,
    /// Where it was decided.
    pub ticket: Option<String>,
    /// Anything else.
    pub comment: Option<String>,
}

impl Exemption {
    /// Of active users whom the matcher matches, those whom it exempts. Visitors can sign up at a website with any login, so a login or a pattern exempts internal
    /// users only, unless a type is configured.
    pub fn exempted_of(&self, matched: &IdSet, people: &People) -> IdSet {
        let user_type = match (&self.matcher, self.user_type) {
            (Matcher::Login(_) | Matcher::Glob(_), None) => Some(UserType::Internal),
            (_, user_type) => user_type,
        };
        match user_type {
            Some(user_type) => people.of_type(user_type, matched),
            None => matched.clone(),
        }
    }

    /// Whether this entry concerns a target on which it matches these users.
    pub fn concerns(&self, matched: &IdSet) -> bool {
        !self.shared || !matched.is_empty()
    }

    /// Whom it is for, in the words of the configuration.
    pub fn whom(&self) -> String {
        let whom = match &self.matcher {
            Matcher::Login(login) => format!("login {login}"),
            Matcher::Glob(glob) => format!("login_glob {}", glob.as_str()),
            Matcher::Group(group) => format!("group {group}"),
        };
        match self.user_type {
            Some(user_type) => format!("{whom} ({user_type})"),
            None => whom,
        }
    }

    /// Whether it has ceased to hold on that day.
    pub fn expired_on(&self, today: jiff::civil::Date) -> bool {
        self.expires.is_some_and(|last| last < today)
    }
}

/// Whom an exemption is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// The person with exactly this login.
    Login(String),
    /// Everybody whose login fits the pattern.
    Glob(Glob),
    /// Everybody in the group, implied groups included.
    Group(XmlId),
}

/// A pattern: `*` stands for any text, `?` for one character. Upper and lower case differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

/// Why a text is refused as a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGlob {
    /// Nothing but `*`, or nothing at all.
    #[error("fits everything")]
    FitsAll,
}

impl Glob {
    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as a pattern of SQL's LIKE, for Odoo's operator `=like`, with LIKE's own signs escaped by `\`.
    pub fn like(&self) -> String {
        let mut like = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            match c {
                '*' => like.push('%'),
                '?' => like.push('_'),
                '%' | '_' | '\\' => like.extend(['\\', c]),
                _ => like.push(c),
            }
        }
        like
    }

    /// Whether a text fits.
    pub fn matches(&self, text: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.chars().collect();
        let (mut p, mut t) = (0, 0);
        // Where to go on when a mismatch shows that the last `*` stands for one character more.
        let mut retry = None;
        while t < text.len() {
            match pattern.get(p) {
                Some('*') => {
                    retry = Some((p, t));
                    p += 1;
                }
                Some(&c) if c == '?' || c == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => match retry {
                    Some((star, from)) => {
                        retry = Some((star, from + 1));
                        p = star + 1;
                        t = from + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|c| *c == '*')
    }
}

impl std::str::FromStr for Glob {
    type Err = InvalidGlob;

    fn from_str(text: &str) -> Result<Self, InvalidGlob> {
        if text.chars().all(|c| c == '*') {
            return Err(InvalidGlob::FitsAll);
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn glob(text: &str) -> Glob {
        text.parse().expect("a pattern")
    }

    #[test]
    fn a_pattern_fits_what_it_says() {
        for (pattern, login, fits) in [
            ("svc-*", "svc-shop", true),
            ("svc-*", "svc-", true),
            ("svc-*", "my-svc-shop", false),
            ("*@shop.example", "a@b@shop.example", true),
            ("k?osk-*-x", "kiosk-a-x-x", true),
            ("kiosk", "kiosk1", false),
            ("SVC-*", "svc-1", false),
        ] {
            assert_eq!(glob(pattern).matches(login), fits, "{pattern} {login}");
        }
        assert_eq!(glob(r"a_%*?\").like(), r"a\_\%%_\\");
        assert_eq!("**".parse::<Glob>(), Err(InvalidGlob::FitsAll));
    }

    #[test]
    fn an_exemption_holds_on_its_last_day() {
        let last = jiff::civil::date(2027, 1, 1);
        let exemption = Exemption {
            user_type: None,
            matcher: Matcher::Login("kiosk".into()),
            reason: ExemptReason::Kiosk,
            expires: Some(last),
            shared: false,
            note: Note::default(),
        };
        assert!(!exemption.expired_on(last));
        assert!(exemption.expired_on(jiff::civil::date(2027, 1, 2)));
    }

    /// The plain definition of a pattern, exponential and obviously right.
    fn fits(pattern: &[char], login: &[char]) -> bool {
        match (pattern.first(), login.first()) {
            (None, None) => true,
            (Some('*'), _) => {
                fits(&pattern[1..], login) || (!login.is_empty() && fits(pattern, &login[1..]))
            }
            (Some('?'), Some(_)) => fits(&pattern[1..], &login[1..]),
            (Some(a), Some(b)) => a == b && fits(&pattern[1..], &login[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_agrees_with_its_definition(pattern in "[ab*?]{1,7}", login in "[ab]{0,8}") {
            prop_assume!(pattern.chars().any(|c| c != '*'));
            let (p, l): (Vec<_>, Vec<_>) = (pattern.chars().collect(), login.chars().collect());
            prop_assert_eq!(glob(&pattern).matches(&login), fits(&p, &l));
        }
    }
}
