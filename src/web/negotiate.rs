//! Format and coding that a client prefers (RFC 9110, 12.5).

use axum::http::header::{self, HeaderMap, HeaderName};

use crate::exposition::{Coding, Format};

/// A format, and what it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentType {
    /// The format.
    pub format: Format,
    /// The value of `Content-Type`.
    pub name: &'static str,
    /// Its media type in `Accept`.
    media_type: &'static str,
    version: &'static str,
}

/// Best first, for clients to which several are equal.
const OFFERED: [ContentType; 3] = [
    ContentType {
        format: Format::OpenMetrics,
        name: "application/openmetrics-text; version=1.0.0; charset=utf-8",
        media_type: "application/openmetrics-text",
        version: "1.0.0",
    },
    ContentType {
        format: Format::OpenMetrics,
        name: "application/openmetrics-text; version=0.0.1; charset=utf-8",
        media_type: "application/openmetrics-text",
        version: "0.0.1",
    },
    CLASSIC,
];

/// For clients that name none of them: every tool reads it, browsers show it.
const CLASSIC: ContentType = ContentType {
    format: Format::Classic,
    name: "text/plain; version=0.0.4; charset=utf-8",
    media_type: "text/plain",
    version: "0.0.4",
};

/// The content type for a request: the preferred one of those that it names, else the classic text.
pub fn content_type(request: &HeaderMap) -> ContentType {
    let mut weights = [0; OFFERED.len()];
    for range in items(request, header::ACCEPT) {
        for (weight, offered) in weights.iter_mut().zip(&OFFERED) {
            let is_version = |version| version == offered.version;
            if range.is(offered.media_type) && range.parameter("version").is_none_or(is_version) {
                *weight = range.weight.max(*weight);
            }
        }
    }
    let best = OFFERED.iter().zip(weights).rev();
    best.max_by_key(|(_, weight)| *weight)
        .filter(|(_, weight)| *weight > 0)
        .map_or(CLASSIC, |(offered, _)| *offered)
}

/// The coding for a request: gzip, unless the client refuses it or prefers another one.
pub fn coding(request: &HeaderMap) -> Coding {
    let weight_of = |names: &[&str]| {
        items(request, header::ACCEPT_ENCODING)
            .find(|coding| names.iter().any(|name| coding.is(name)))
            .map(|coding| coding.weight)
    };
    let gzip = weight_of(&["gzip", "x-gzip"])
        .or_else(|| weight_of(&["*"]))
        .unwrap_or(0);
    if gzip > 0 && gzip >= weight_of(&["identity"]).unwrap_or(0) {
        Coding::Gzip
    } else {
        Coding::Identity
    }
}

/// One item of a list: `name; key=value; q=0.5`.
struct Item<'a> {
    name: &'a str,
    /// The parameters after the name.
    parameters: &'a str,
    /// In thousandths: `q` has at most three decimals.
    weight: u16,
}

impl<'a> Item<'a> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn parameter(&self, key: &str) -> Option<&'a str> {
        self.parameters
            .split(';')
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(key))
            .map(|(_, value)| value.trim().trim_matches('"'))
    }
}

fn items(request: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Item<'_>> {
    request
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|item| {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let mut item = Item {
                name: name.trim(),
                parameters,
                weight: 1000,
            };
            if let Some(weight) = item.parameter("q") {
                // A value that is not a number is no preference.
                item.weight = weight
                    .parse::<f32>()
                    .map_or(0, |weight| (weight.clamp(0.0, 1.0) * 1000.0) as u16);
            }
            item
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect("a header value"))])
    }

    #[test]
    fn accept_chooses_the_format() {
        let cases = [
            // Prometheus 2.42, 2.53 and 3.5, and VictoriaMetrics.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                "1.0.0",
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                "1.0.0",
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                "1.0.0",
            ),
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", "0.0.4"),
            // A browser, curl, and others that name none.
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                "0.0.4",
            ),
            ("*/*", "0.0.4"),
            ("application/json", "0.0.4"),
            ("", "0.0.4"),
            // Weights decide, and 0 means never.
            ("application/openmetrics-text;version=0.0.1", "0.0.1"),
            (
                "APPLICATION/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.2, text/plain;q=0.1",
                "1.0.0",
            ),
            (
                "application/openmetrics-text;q=0.3, text/plain;q=0.4",
                "0.0.4",
            ),
            ("application/openmetrics-text;q=0, */*", "0.0.4"),
            ("application/openmetrics-text;version=2.0.0", "0.0.4"),
            (
                "application/openmetrics-text;q=none, text/plain;q=0.1",
                "0.0.4",
            ),
        ];
        for (accept, version) in cases {
            assert_eq!(
                content_type(&request(header::ACCEPT, accept)).version,
                version,
                "{accept}"
            );
        }
        assert_eq!(content_type(&HeaderMap::new()), CLASSIC);
    }

    #[test]
    fn accept_encoding_chooses_the_coding() {
        let cases = [
            ("gzip", Coding::Gzip),
            ("deflate, GZIP;q=0.5, br", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("*", Coding::Gzip),
            ("*;q=0.1, gzip;q=0", Coding::Identity),
            ("gzip;q=0", Coding::Identity),
            ("gzip;q=0.0", Coding::Identity),
            ("gzip;q=0.5, identity", Coding::Identity),
            ("gzip;q=0.5, identity;q=0.5", Coding::Gzip),
            ("br", Coding::Identity),
            ("", Coding::Identity),
        ];
        for (accept, expected) in cases {
            assert_eq!(
                coding(&request(header::ACCEPT_ENCODING, accept)),
                expected,
                "{accept}"
            );
        }
        assert_eq!(coding(&HeaderMap::new()), Coding::Identity);
    }
}
