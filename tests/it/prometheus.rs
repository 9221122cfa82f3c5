//! A real Prometheus scrapes the exporter.

use axum::extract::Request;
use axum::http::HeaderValue;
use odoo_mfa_exporter::exposition::Format;

use crate::harness::exporter::{Server, Shown};
use crate::harness::prometheus::Prometheus;
use crate::harness::snapshots::{down, up};
use crate::harness::text::Text;

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_reads_both_formats_alike() {
    const NAME: &str = "erp \"north\"\\\n2";
    let shown = Shown::new([up(NAME), down("crm")]);
    let samples = Text::read(&shown.text(Format::Classic).await).samples.len();
    let openmetrics = Server::start(shown.routes().0).await;
    // Prometheus prefers OpenMetrics and has no option for that before 2.49.
    let classic_only = async |mut request: Request| {
        let headers = request.headers_mut();
        headers.insert(
            "accept",
            HeaderValue::from_static("text/plain;version=0.0.4"),
        );
        request
    };
    let classic = axum::Router::new()
        .fallback_service(shown.routes().0)
        .layer(axum::middleware::map_request(classic_only));
    let classic = Server::start(classic).await;
    let jobs = [
        ("openmetrics", openmetrics.address),
        ("classic", classic.address),
    ];
    let prometheus = Prometheus::start(&jobs).await;

    for (job, _) in jobs {
        assert_eq!(prometheus.errors(job).await.as_deref(), Some(""), "{job}");
        let scraped = prometheus
            .query(&format!("scrape_samples_scraped{{job='{job}'}}"))
            .await;
        assert_eq!(scraped[0]["value"][1], samples.to_string(), "{job}");
        let users = prometheus
            .query(&format!(
                "odoo_users{{job='{job}',user_type='internal',state='active'}}"
            ))
            .await;
        assert_eq!(users.len(), 1, "{users:?}");
        assert_eq!(users[0]["metric"]["target"], NAME);
        assert_eq!(users[0]["value"][1], "101");
        let failing = prometheus
            .query(&format!("odoo_poll_failing{{job='{job}'}}"))
            .await;
        assert_eq!(failing[0]["metric"]["reason"], "auth");
        let lag = prometheus
            .query(&format!(
                "odoo_mfa_exporter_poll_lag_seconds_bucket{{job='{job}',le='+Inf'}}"
            ))
            .await;
        assert_eq!(lag.len(), 1, "{lag:?}");
    }
    drop(prometheus);
    openmetrics.stop().await;
    classic.stop().await;
}
